"""Where reports go: the queues of the business, and what carries reports on to them."""
