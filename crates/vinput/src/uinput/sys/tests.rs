//! The numbers of the requests and the layouts of the structures, compared with what a C compiler makes
//! of the kernel's headers.

use nix::libc::{ff_effect, input_absinfo, input_event, input_id, uinput_setup};

use super::*;
use crate::c_header;
use crate::event::Event;

fn numbered<A>(request: &Request<A>) -> (&'static str, u64) {
    (request.name, u64::from(request.code()))
}

fn size_and_align<T>(name: &'static str) -> [(String, u64); 2] {
    let (size, align) = (size_of::<T>() as u64, align_of::<T>() as u64);
    [(format!("sizeof({name})"), size), (format!("_Alignof({name})"), align)]
}

#[test]
fn requests_and_structures_are_those_of_the_c_headers() {
    let mut ours: Vec<(String, u64)> = [
        numbered(&UI_DEV_CREATE),
        numbered(&UI_DEV_SETUP),
        numbered(&UI_ABS_SETUP),
        numbered(&UI_SET_EVBIT),
        numbered(&UI_SET_KEYBIT),
        numbered(&UI_SET_RELBIT),
        numbered(&UI_SET_ABSBIT),
        numbered(&UI_SET_LEDBIT),
        numbered(&UI_SET_FFBIT),
        numbered(&UI_SET_PHYS),
        numbered(&UI_SET_PROPBIT),
        numbered(&UI_BEGIN_FF_UPLOAD),
        numbered(&UI_END_FF_UPLOAD),
        numbered(&UI_BEGIN_FF_ERASE),
        numbered(&UI_END_FF_ERASE),
        ("UI_GET_SYSNAME(64)", u64::from(UI_GET_SYSNAME.code())),
        ("UINPUT_MAX_NAME_SIZE", crate::DeviceName::MAX as u64 + 1),
        ("EV_UINPUT", u64::from(super::super::EV_UINPUT)),
        ("UI_FF_UPLOAD", u64::from(super::super::UI_FF_UPLOAD)),
        ("UI_FF_ERASE", u64::from(super::super::UI_FF_ERASE)),
        ("FF_GAIN", u64::from(super::super::FF_GAIN)),
        ("FF_AUTOCENTER", u64::from(super::super::FF_AUTOCENTER)),
        ("BUS_USB", crate::profile::Bus::Usb as u64),
        ("BUS_BLUETOOTH", crate::profile::Bus::Bluetooth as u64),
        ("BUS_VIRTUAL", crate::profile::Bus::Virtual as u64),
        ("FF_MAX_EFFECTS", 0x60),
        ("offsetof(struct input_event, type)", mem::offset_of!(input_event, type_) as u64),
        ("offsetof(struct input_event, value)", mem::offset_of!(input_event, value) as u64),
        ("sizeof(struct input_event)", Event::SIZE as u64),
        ("offsetof(struct ff_effect, replay)", mem::offset_of!(ff_effect, replay) as u64),
        ("offsetof(struct ff_effect, u)", mem::offset_of!(ff_effect, u) as u64),
        // Where `Effect::decode` reads.
        ("offsetof(struct ff_rumble_effect, weak_magnitude)", 2),
        ("offsetof(struct ff_constant_effect, envelope)", 2),
        ("offsetof(struct ff_periodic_effect, period)", 2),
        ("offsetof(struct ff_periodic_effect, magnitude)", 4),
        ("offsetof(struct ff_periodic_effect, offset)", 6),
        ("offsetof(struct ff_periodic_effect, phase)", 8),
        ("offsetof(struct ff_periodic_effect, envelope)", 10),
        ("offsetof(struct ff_ramp_effect, end_level)", 2),
        ("offsetof(struct ff_ramp_effect, envelope)", 4),
        ("offsetof(struct ff_condition_effect, left_saturation)", 2),
        ("offsetof(struct ff_condition_effect, right_coeff)", 4),
        ("offsetof(struct ff_condition_effect, left_coeff)", 6),
        ("offsetof(struct ff_condition_effect, deadband)", 8),
        ("offsetof(struct ff_condition_effect, center)", 10),
        ("sizeof(struct ff_condition_effect)", 12),
        ("offsetof(struct ff_envelope, attack_level)", 2),
        ("offsetof(struct ff_envelope, fade_length)", 4),
        ("offsetof(struct ff_envelope, fade_level)", 6),
    ]
    .map(|(expression, value)| (expression.to_owned(), value))
    .into();
    ours.extend(size_and_align::<input_id>("struct input_id"));
    ours.extend(size_and_align::<input_absinfo>("struct input_absinfo"));
    ours.extend(size_and_align::<uinput_setup>("struct uinput_setup"));
    ours.extend(size_and_align::<uinput_abs_setup>("struct uinput_abs_setup"));
    ours.extend(size_and_align::<ff_effect>("struct ff_effect"));
    ours.extend(size_and_align::<uinput_ff_upload>("struct uinput_ff_upload"));
    ours.extend(size_and_align::<uinput_ff_erase>("struct uinput_ff_erase"));

    let expressions: Vec<_> = ours.iter().map(|(expression, _)| expression.as_str()).collect();
    let theirs = c_header::values("linux/uinput.h", &expressions);
    for (expression, value) in &ours {
        assert_eq!(theirs[expression], *value, "{expression}");
    }
}

/// Two crates had this wrong: the size in the request is the pointer's.
#[cfg(target_pointer_width = "64")]
#[test]
fn ui_set_phys_has_the_size_of_a_pointer() {
    assert_eq!(UI_SET_PHYS.code(), 0x4008_556c);
}
