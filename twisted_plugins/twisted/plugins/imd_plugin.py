"""Makes ``twistd imd`` known to Twisted."""

from twisted.application.service import ServiceMaker

imd = ServiceMaker("imd", "imd.tap", "An instant-messaging daemon.", "imd")
