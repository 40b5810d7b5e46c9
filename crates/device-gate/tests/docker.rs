//! Containers of a real Docker, on whatever kernel and cgroups the test machine has.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::env;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use device_gate::probe::{ProbeError, open_in_container};
use device_gate::{
    Access, BackEnd, BackEndError, CgroupError, ChooseError, Container, Device, DeviceKind,
    Devices, Grants,
};

/// No driver has this number: what is allowed fails otherwise than what is not.
const PAD: Device = Device::char(239, 300);
const IMAGE: &str = "hotseat/tiny";

fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().unwrap()
}

/// An image with nothing but busybox.
fn have_image() {
    if docker(&["image", "inspect", IMAGE]).status.success() {
        return;
    }
    let script = format!("tar -C / -c bin/busybox | docker import - {IMAGE}");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

/// A container started without any option about devices, with a node of its own making. Its default capabilities and
/// rules allow that much.
struct Docker {
    name: String,
    container: Container,
}

impl Docker {
    fn start(name: &str, options: &[&str]) -> Self {
        have_image();
        let script = format!(
            "/bin/busybox mknod /pad c {} {} && /bin/busybox touch /made && exec /bin/busybox sleep 1000",
            PAD.major, PAD.minor
        );
        let run = ["run", "-d", "--network", "none", "--name", name];
        let command = [IMAGE, "/bin/busybox", "sh", "-c", &script];
        let started = docker(&[&run[..], options, &command].concat());
        assert!(started.status.success(), "{started:?}");
        let id = String::from_utf8(started.stdout).unwrap();
        let pid = docker(&["inspect", "--format", "{{.State.Pid}}", name]).stdout;
        let pid = String::from_utf8(pid).unwrap().trim().parse().unwrap();
        let mut container = Container::open(pid).unwrap();
        assert!(container.widen_cgroup(id.trim()).unwrap(), "{:?}", container.cgroup());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !container.has("made").unwrap() {
            assert!(Instant::now() < deadline, "the container does not start");
            std::thread::yield_now();
        }
        Self { name: name.to_owned(), container }
    }

    fn may_use(&self) -> bool {
        match open_in_container(&self.container, "/pad") {
            Ok(()) => true,
            Err(ProbeError::Refused { source, .. }) => match source.raw_os_error() {
                Some(libc::EPERM) => false,
                Some(libc::ENXIO) => true,
                other => panic!("unexpected error {other:?}"),
            },
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The same, by a program that Docker starts in it.
    fn program_may_use(&self) -> bool {
        let tried = docker(&["exec", &self.name, "/bin/busybox", "dd", "if=/pad", "count=1"]);
        let text = String::from_utf8(tried.stderr).unwrap();
        match text {
            text if text.contains("Operation not permitted") => false,
            text if text.contains("No such device or address") => true,
            text => panic!("unexpected answer {text:?}"),
        }
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.name]);
    }
}

/// What has to be in use on this machine, so that no test passes by way of another back-end.
fn expected_back_ends() -> Vec<BackEnd> {
    let v2 = match env::var("HOTSEAT_VM").as_deref() {
        Ok("linux-5.10") => BackEnd::InlineWrap,
        _ => BackEnd::RootOverride,
    };
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        vec![v2]
    } else if Path::new("/sys/fs/cgroup/unified").exists() {
        vec![v2, BackEnd::CgroupV1]
    } else {
        vec![BackEnd::CgroupV1]
    }
}

fn choose() -> Grants {
    let grants = Grants::choose().unwrap();
    assert_eq!(grants.back_ends(), expected_back_ends(), "{:?}", grants.passed_over());
    for better in grants.passed_over() {
        eprintln!("no {better}");
        assert_eq!(better.back_end, BackEnd::RootOverride);
        assert!(matches!(better.why, BackEndError::LoadProgram { .. }), "{better}");
    }
    assert_eq!(grants.passed_over().is_empty(), grants.back_ends()[0] != BackEnd::InlineWrap);
    grants
}

#[test]
fn a_docker_container_opens_exactly_what_it_is_granted() {
    let grants = choose();
    let [one, other] = ["hotseat-one", "hotseat-other"].map(|name| Docker::start(name, &[]));
    assert!(!one.may_use() && !other.may_use());
    let access = Access::READ | Access::WRITE;
    grants.grant(&one.container, PAD, access).unwrap();
    assert!(one.may_use() && one.program_may_use());
    assert!(!other.may_use(), "another container");

    let disturbances: [&[&str]; 2] =
        [&["systemctl", "daemon-reload"], &["docker", "update", "--cpu-shares", "512", &one.name]];
    for command in disturbances {
        let done = Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).status();
        assert!(done.unwrap().success(), "{command:?}");
        let survived = one.may_use();
        eprintln!("{command:?}: {}", if survived { "still granted" } else { "lost" });
        if grants.back_ends() == [BackEnd::RootOverride] {
            assert!(survived, "{command:?}");
        }
        grants.reapply().unwrap();
        assert!(one.may_use() && !other.may_use(), "{command:?}");
    }

    grants.revoke(&one.container, PAD).unwrap();
    assert!(!one.may_use());
    let any = Devices::any_minor(DeviceKind::Char, PAD.major);
    grants.grant(&one.container, any, access).unwrap();
    assert!(one.may_use());
    // What is left when the daemon ends: nothing.
    drop(grants);
    assert!(!one.may_use());
}

#[test]
fn a_privileged_container_needs_no_grant_and_loses_nothing_by_one() {
    let grants = choose();
    let privileged = Docker::start("hotseat-privileged", &["--privileged"]);
    assert!(privileged.may_use());
    grants.grant(&privileged.container, PAD, Access::READ | Access::WRITE).unwrap();
    assert!(privileged.may_use());
    grants.revoke_all(&privileged.container).unwrap();
    assert!(privileged.may_use());
}

/// What the next test starts in a container.
#[test]
#[ignore = "started by the test below"]
fn inside() {
    let Ok(name) = env::var("HOTSEAT_TEST_INSIDE") else { return };
    match (name.as_str(), Grants::choose()) {
        ("host", Ok(grants)) => println!("\nworks by {:?}", grants.back_ends()),
        ("unprivileged", Ok(grants)) => {
            assert_eq!(grants.back_ends(), [BackEnd::NotNeeded]);
            for better in grants.passed_over() {
                assert!(matches!(better.why, BackEndError::CreateMap(_)), "{better}");
                println!("\nno {better}");
            }
        }
        ("private", Err(ChooseError::Root(error @ CgroupError::NotRoot { .. }))) => {
            println!("\nrefused: {error}");
        }
        (_, other) => panic!("{other:?}"),
    }
}

#[test]
fn a_daemon_in_a_container_needs_the_hosts_cgroup_namespace_and_capabilities() {
    have_image();
    let program = env::current_exe().unwrap();
    let run = |name: &str, options: &[&str]| {
        let output = Command::new("docker")
            .args(["run", "--rm", "--network", "none"])
            .args(["--env", &format!("HOTSEAT_TEST_INSIDE={name}")])
            .args(options)
            .args(["-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro"])
            .args(["-v", &format!("{}:/program:ro", program.display()), IMAGE])
            .args(["/program", "--exact", "inside", "--ignored", "--nocapture"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        text
    };
    assert!(run("host", &["--privileged", "--cgroupns=host"]).contains("works by"));
    let refused = run("private", &["--privileged", "--cgroupns=private"]);
    assert!(refused.contains("refused:") && refused.contains("--cgroupns=host"), "{refused}");
    // And the capabilities: without them what is left is to serve containers that refuse nothing.
    let unprivileged = run("unprivileged", &["--cgroupns=host"]);
    assert!(unprivileged.contains("no root override: could not make a map"), "{unprivileged}");
}
