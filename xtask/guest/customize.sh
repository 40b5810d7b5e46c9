# Runs inside the fresh root file system (chroot, no systemd running) as the last step of mmdebstrap.
set -eu
kernel=$(ls /lib/modules)

# What the tests stand on must be there, or the image is worthless.
for module in uinput uhid joydev evdev hid-playstation hid-generic 9p 9pnet_virtio overlay veth bridge; do
	modprobe --set-version "$kernel" --show-depends "$module" > /dev/null
done

# The initial RAM disk: busybox and the modules between the kernel and the root disk.
initrd=$(mktemp -d)
mkdir -p "$initrd/bin" "$initrd/proc" "$initrd/sys" "$initrd/dev" "$initrd/root" "$initrd/modules"
cp /bin/busybox "$initrd/bin/"
mv /usr/lib/hotseat-vm/init "$initrd/init"
for module in virtio_pci virtio_blk ext4 crc32c_generic; do
	modprobe --set-version "$kernel" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r path; do
	name=$(basename "$path" .xz)
	case $path in
	*.xz) busybox xzcat "$path" ;;
	*) cat "$path" ;;
	esac > "$initrd/modules/$name"
	echo "$name" >> "$initrd/modules/order"
done
(cd "$initrd" && find . | busybox cpio -o -H newc > /boot/hotseat-initrd)
rm -r "$initrd"
mv "/boot/vmlinuz-$kernel" /boot/hotseat-kernel
rm -f /boot/System.map-* /boot/initrd* /vmlinuz* /initrd*

echo hotseat-vm > /etc/hostname
echo 127.0.0.1 localhost hotseat-vm > /etc/hosts
mkdir -p /work
# Somebody to run rootless containers as.
useradd --create-home --uid 1000 --shell /bin/bash player
# The journal is read during a run or never.
rm -rf /var/log/journal

# AppArmor profiles only of what is here. Debian has a hundred, and compiling them delays every boot.
# Docker brings its own, docker-default.
for profile in /etc/apparmor.d/*; do
	case ${profile##*/} in
	abi | abstractions | disable | force-complain | local | tunables) ;;
	buildah | busybox | crun | podman | runc | slirp4netns) ;;
	*) rm -rf "$profile" ;;
	esac
done

# Modules that would only be loaded because the emulated processor and chip set have the feature.
for module in kvm_amd kvm_intel iTCO_wdt lpc_ich powernow_k8 aesni_intel ghash_clmulni_intel \
	crct10dif_pclmul crc32_pclmul sha1_ssse3 sha256_ssse3 sha512_ssse3; do
	echo "blacklist $module"
done > /etc/modprobe.d/hotseat-vm.conf

# Docker starts when somebody asks for it (docker.socket), so that runs without it boot quickly.
mkdir -p /etc/docker
echo '{ "storage-driver": "overlay2" }' > /etc/docker/daemon.json
systemctl disable docker.service containerd.service
systemctl enable docker.socket apparmor.service hotseat-run.service hotseat-shell.service

# Nothing runs on a schedule, nothing waits for a network, nobody logs in.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
	e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer podman-auto-update.timer \
	podman-auto-update.service podman-restart.service podman-clean-transient.service podman.socket \
	systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service \
	getty.target getty@tty1.service serial-getty@ttyS0.service systemd-pstore.service \
	systemd-update-utmp.service systemd-random-seed.service systemd-rfkill.socket; do
	ln -sf /dev/null "/etc/systemd/system/$unit"
done
