//! 70-uaccess.rules and 71-seat.rules: what the user at a seat may use.

use super::event::Event;

/// Devices with one of these properties are for the user, whatever they are.
const FOR_THE_USER: [&str; 11] = [
    "COLOR_MEASUREMENT_DEVICE",
    "DDC_DEVICE",
    "ID_DEBUG_APPLIANCE",
    "ID_GPHOTO2",
    "ID_HPLIP",
    "ID_MAKER_TOOL",
    "ID_PDA",
    "ID_REMOTE_CONTROL",
    "ID_SECURITY_TOKEN",
    "ID_SMARTCARD_READER",
    "ID_SOFTWARE_RADIO",
];

/// With one of these they are if they are devices of USB or HID themselves, not what drivers make of them.
const FOR_THE_USER_RAW: [&str; 3] =
    ["ID_AV_LIGHTS", "ID_AV_PRODUCTION_CONTROLLER", "ID_HARDWARE_WALLET"];

/// The interfaces of PTP cameras, and of Android's debugger.
const CAMERA: &str = ":060101:";
const ANDROID: [&str; 3] = [":dc0201:", ":ff4201:", ":ff4203:"];

pub(super) fn uaccess(event: &mut Event<'_>) {
    if event.device.devnum().is_none() {
        return;
    }
    let is_usb = event.is_in("usb");
    let interfaces = event.get("ID_USB_INTERFACES");
    let is_camera = is_usb && interfaces.contains(CAMERA);
    if is_usb && ANDROID.iter().any(|android| interfaces.contains(android)) {
        event.set("ID_DEBUG_APPLIANCE", "android");
    }
    let is_raw = (is_usb || event.is_in("hidraw"))
        && FOR_THE_USER_RAW.iter().any(|key| event.get(key) == "1");
    let is_player = is_usb && event.has("ID_MEDIA_PLAYER");
    let is_joystick = event.is_in("input") && event.has("ID_INPUT_JOYSTICK");
    let is_3d_mouse = event.is_in("hidraw") && event.get("ID_INPUT_3D_MOUSE") == "1";
    let is_analyzer =
        event.has("ID_SIGNAL_ANALYZER") && (event.is_usb_device() || event.is_numbered("ttyACM"));
    if is_camera
        || is_raw
        || is_player
        || is_joystick
        || is_3d_mouse
        || is_analyzer
        || FOR_THE_USER.iter().any(|key| event.has(key))
    {
        event.tag("uaccess");
    }
}

pub(super) fn seat(event: &mut Event<'_>) {
    let class = event.device.own().and_then(|own| own.attribute("bDeviceClass"));
    // A device whose interfaces say what it is, or a hub.
    let is_usb_of_seat = event.is_in("usb") && matches!(class, Some("00" | "09"));
    let is_of_seat = is_usb_of_seat
        || event.is_tagged("uaccess")
        || (event.is_in("input") && event.is_named("input"))
        || event.is_in("hidraw")
        || event.is_in("leds");
    if !is_of_seat {
        return;
    }
    event.tag("seat");
    if !event.has("ID_PATH") {
        event.import_path_id();
    }
    if !event.has("ID_FOR_SEAT") && event.has("ID_PATH_TAG") {
        let name = format!("{}-{}", event.device.subsystem(), event.get("ID_PATH_TAG"));
        event.set("ID_FOR_SEAT", &name);
    }
}
