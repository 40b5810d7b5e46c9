//! Starting a sandbox, from outside.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus};

use device_gate::{Cgroup, CgroupError, Policy, PolicyError};
use rustix::io::{FdFlags, fcntl_setfd};

use super::sys;

/// A sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Its cgroup could not be made.
    #[error("could not make the sandbox's cgroup (this needs root)")]
    Cgroup(#[source] CgroupError),
    /// A sandbox of that name runs.
    #[error("a sandbox `{name}` runs already; end it first, or choose another session")]
    InUse {
        /// The session.
        name: String,
    },
    /// Its device policy could not be attached.
    #[error("could not restrict the sandbox's devices")]
    Policy(#[source] PolicyError),
    /// Its first process could not be started.
    #[error("could not start the sandbox's first process")]
    Spawn(#[source] io::Error),
    /// Its first process ended before it was ready; it has said why.
    #[error("the sandbox could not be set up")]
    NotReady(#[source] io::Error),
}

/// A sandbox: prepared, waiting for [`Sandbox::go`].
#[derive(Debug)]
pub struct Sandbox {
    cgroup: Cgroup,
    init: Child,
    /// The first process ends when this is closed, and with it everything in the sandbox.
    lifeline: UnixStream,
}

impl Sandbox {
    /// Prepares a sandbox for `command`, which does not run yet.
    ///
    /// # Errors
    ///
    /// [`LaunchError`]; nothing is left then.
    pub fn prepare(name: &str, command: &[OsString]) -> Result<Self, LaunchError> {
        let cgroup = super::cgroup(name).map_err(LaunchError::Cgroup)?;
        // Two in one cgroup would be taken for each other, and share what is granted.
        if fs::read_to_string(cgroup.path().join("cgroup.procs")).is_ok_and(|all| !all.is_empty()) {
            return Err(LaunchError::InUse { name: name.to_owned() });
        }
        let prepared = Policy::container_default()
            .attach(&cgroup)
            .map_err(LaunchError::Policy)
            .and_then(|()| start_init(&cgroup, command));
        match prepared {
            Ok((init, lifeline)) => Ok(Self { cgroup, init, lifeline }),
            Err(error) => {
                remove_cgroup(&cgroup);
                Err(error)
            }
        }
    }

    /// Lets the command run.
    ///
    /// # Errors
    ///
    /// When the first process is gone.
    pub fn go(&mut self) -> io::Result<()> {
        self.lifeline.write_all(b"g")
    }

    /// A second handle: shutting it down ends the sandbox.
    ///
    /// # Errors
    ///
    /// When it cannot be duplicated.
    pub fn lifeline(&self) -> io::Result<UnixStream> {
        self.lifeline.try_clone()
    }

    /// Waits for the command; its status is the first process's.
    ///
    /// # Errors
    ///
    /// When it cannot be waited for.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.init.wait()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // The first process takes everything in its process namespace with it.
        let _ = self.lifeline.shutdown(std::net::Shutdown::Both);
        let _ = self.init.wait();
        remove_cgroup(&self.cgroup);
    }
}

/// Best effort: an empty cgroup costs nothing, and the next sandbox of the name uses it again.
fn remove_cgroup(cgroup: &Cgroup) {
    let _ = fs::remove_dir(cgroup.path());
    // The one that all sandboxes share goes with the last of them.
    let _ = cgroup.path().parent().map(fs::remove_dir);
}

fn start_init(cgroup: &Cgroup, command: &[OsString]) -> Result<(Child, UnixStream), LaunchError> {
    let (mut ours, theirs) = UnixStream::pair().map_err(LaunchError::Spawn)?;
    let theirs = OwnedFd::from(theirs);
    fcntl_setfd(&theirs, FdFlags::empty()).map_err(|errno| LaunchError::Spawn(errno.into()))?;
    let mut init = Command::new("/proc/self/exe");
    init.arg("sandbox-init")
        .arg(theirs.as_raw_fd().to_string())
        .arg(cgroup.path())
        .arg("--")
        .args(command);
    let mut child = spawn_in_new_pid_namespace(init).map_err(LaunchError::Spawn)?;
    drop(theirs);

    let mut ready = [0];
    match ours.read_exact(&mut ready) {
        Ok(()) => Ok((child, ours)),
        Err(error) => {
            // It has ended or is about to: the lifeline is closed.
            drop(ours);
            let _ = child.wait();
            Err(LaunchError::NotReady(error))
        }
    }
}

/// `unshare(CLONE_NEWPID)` decides for the children of the calling thread, for good: so a thread of its own.
fn spawn_in_new_pid_namespace(mut command: Command) -> io::Result<Child> {
    let spawn = move || {
        sys::unshare_pid()?;
        command.spawn()
    };
    let thread = std::thread::Builder::new().name("hotseat-launch".to_owned()).spawn(spawn)?;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
