#!/bin/sh
# Runs once in the booted machine while its disk is still writable: what only a running kernel can do.
# $1: the consumers' root file system as a tar file; $2: the file that receives what was built.
set -eu
exec > /dev/null
podman import --quiet --change 'CMD ["sleep","infinity"]' "$1" hotseat/consumers:latest &
docker import --change 'CMD ["sleep","infinity"]' "$1" hotseat/consumers:latest
wait $!
{
	echo "kernel $(uname -r)"
	echo "docker $(docker version --format '{{.Server.Version}}')"
	echo "podman $(podman version --format '{{.Version}}')"
	dpkg-query --show --showformat '${Package} ${Version}\n' \
		crun runc containerd systemd libudev1 libinput10 'libsdl2-2.0-0' 'libsdl3-0' apparmor 2> /dev/null || true
} > "$2"
docker info --format '{{.SecurityOptions}}' | grep -q apparmor

# Leave a clean file system behind: the host ends the machine as soon as this script is done.
systemctl stop docker.socket docker.service containerd.service
sync
echo u > /proc/sysrq-trigger
until grep -q '^/dev/vda / ext4 ro' /proc/mounts; do
	sleep 0.1
done
