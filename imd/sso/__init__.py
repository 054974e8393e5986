"""Single sign-on: is this token this user's?"""
