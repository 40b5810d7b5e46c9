# A program in the container that wants game pads: calls libudev as games do, and says when it has a pad open.
# Through ctypes, because pyudev's own work takes longer than libudev's.
import ctypes
import os
import select
import time

udev = ctypes.CDLL("libudev.so.1")
for name in ["new", "monitor_new_from_netlink", "monitor_receive_device"]:
    getattr(udev, "udev_" + name).restype = ctypes.c_void_p
for name in ["action", "devnode", "property_value"]:
    getattr(udev, "udev_device_get_" + name).restype = ctypes.c_char_p

monitor = udev.udev_monitor_new_from_netlink(ctypes.c_void_p(udev.udev_new()), b"udev")
monitor = ctypes.c_void_p(monitor)
udev.udev_monitor_filter_add_match_subsystem_devtype(monitor, b"input", None)
udev.udev_monitor_enable_receiving(monitor)
readable = select.poll()
readable.register(udev.udev_monitor_get_fd(monitor), select.POLLIN)
print("listening", flush=True)
while True:
    readable.poll()
    device = ctypes.c_void_p(udev.udev_monitor_receive_device(monitor))
    if not device:
        continue
    node = udev.udev_device_get_devnode(device)
    if node and udev.udev_device_get_property_value(device, b"ID_INPUT_JOYSTICK") == b"1":
        action, name = udev.udev_device_get_action(device).decode(), os.path.basename(node.decode())
        if action == "add":
            opened = os.open(node, os.O_RDONLY | os.O_NONBLOCK)
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            os.close(opened)
            print("add", name, now, flush=True)
        else:
            print(action, name, flush=True)
    udev.udev_device_unref(device)
