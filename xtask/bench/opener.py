# A program in a container that wants a device: says when its node can be opened, and when that is gone. It hears of both by
# inotify, as none of the ways to plug needs libudev for that.
import ctypes
import os
import sys
import time

IN_ATTRIB, IN_CREATE, IN_DELETE = 0x004, 0x100, 0x200  # include/uapi/linux/inotify.h

libc = ctypes.CDLL(None)
watch = libc.inotify_init1(0)
libc.inotify_add_watch(watch, b"/dev", IN_ATTRIB | IN_CREATE | IN_DELETE)
path, is_open = sys.argv[1], False
print("listening", flush=True)
while True:
    os.read(watch, 65536)
    try:
        opened = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        os.close(opened)
        if not is_open:
            print("open", now, flush=True)
        is_open = True
    except OSError:
        if is_open and not os.path.lexists(path):
            print("gone", flush=True)
            is_open = False
