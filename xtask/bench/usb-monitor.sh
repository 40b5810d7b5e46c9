# What people write who have no device manager in their container: a look at sysfs every second.
while :; do
    for tty in /sys/class/tty/ttyACM* /sys/class/tty/ttyUSB*; do
        node=/dev/${tty##*/}
        if [ -e "$tty/dev" ] && [ ! -e "$node" ]; then
            IFS=: read -r major minor < "$tty/dev"
            mknod "$node" c "$major" "$minor"
        fi
    done
    for node in /dev/ttyACM* /dev/ttyUSB*; do
        if [ -e "$node" ] && [ ! -e "/sys/class/tty/${node##*/}" ]; then
            rm "$node"
        fi
    done
    sleep 1
done
