use std::error::Error;

use super::*;

fn create_at(path: &str) -> CreateError {
    let profile = Profile::builtin("xbox-one").unwrap();
    let phys = DeviceName::new("vinput/test").unwrap();
    Device::create_at(path, profile, profile.device_name(), &phys).unwrap_err()
}

#[test]
fn a_device_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Device>();
    shared::<crate::Reaper>();
}

#[test]
fn without_uinput_the_error_says_how_to_get_it() {
    let error = create_at("/nonexistent/uinput");
    assert!(matches!(error, CreateError::NotFound { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "there is no uinput at /nonexistent/uinput; load it with `modprobe uinput`"
    );
    assert!(error.source().is_some());
}

#[test]
fn reasons_for_not_opening_uinput_are_told_apart() {
    let from = |errno| CreateError::from_open(Path::new("/u"), io::Error::from_raw_os_error(errno));
    assert!(matches!(from(libc::ENOENT), CreateError::NotFound { .. }));
    assert!(matches!(from(libc::ENODEV), CreateError::NotFound { .. }));
    assert!(matches!(from(libc::ENXIO), CreateError::NotFound { .. }));
    assert!(matches!(from(libc::EACCES), CreateError::PermissionDenied { .. }));
    assert!(matches!(from(libc::EPERM), CreateError::PermissionDenied { .. }));
    assert!(matches!(from(libc::EMFILE), CreateError::Open { .. }));
}

#[test]
fn what_is_not_uinput_is_refused_with_the_name_and_number_of_the_ioctl() {
    let error = create_at("/dev/null");
    assert!(matches!(error, CreateError::Ioctl(_)), "{error:?}");
    assert_eq!(error.to_string(), "UI_SET_EVBIT (0x40045564) failed");
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.raw_os_error(), Some(libc::ENOTTY));
}

#[test]
fn the_setup_carries_the_identity_and_the_whole_name() {
    let profile = Profile::builtin("xbox-one").unwrap();
    let name = DeviceName::new("x".repeat(79)).unwrap();
    let setup = setup(profile, &name);
    assert_eq!((setup.id.bustype, setup.id.vendor, setup.id.product), (3, 0x045e, 0x02ea));
    assert_eq!(setup.ff_effects_max, 16);
    assert!(setup.name[..79].iter().all(|byte| *byte == b'x' as c_char));
    assert_eq!(setup.name[79], 0);
}

fn ioctl_error(errno: i32) -> IoctlError {
    IoctlError { name: "TEST", number: 0, source: io::Error::from_raw_os_error(errno) }
}

#[test]
fn an_answer_is_repeated_when_a_signal_interrupts_it() {
    let request = Event { kind: EV_UINPUT, code: UI_FF_ERASE, value: 3 };
    let mut attempts = 0;
    let feedback = answer(request, || {
        attempts += 1;
        if attempts < 3 { Err(ioctl_error(libc::EINTR)) } else { Ok(Feedback::Erase { id: 1 }) }
    });
    assert_eq!(feedback.unwrap(), Feedback::Erase { id: 1 });
    assert_eq!(attempts, 3);
}

#[test]
fn a_request_that_the_kernel_has_given_up_is_shown_as_it_came() {
    let request = Event { kind: EV_UINPUT, code: UI_FF_UPLOAD, value: 3 };
    let feedback = answer(request, || Err(ioctl_error(libc::EINVAL))).unwrap();
    assert_eq!(feedback, Feedback::Other { kind: EV_UINPUT, code: UI_FF_UPLOAD, value: 3 });
    let error = answer(request, || Err(ioctl_error(libc::ENODEV))).unwrap_err();
    assert_eq!(error.source.raw_os_error(), Some(libc::ENODEV));
}
