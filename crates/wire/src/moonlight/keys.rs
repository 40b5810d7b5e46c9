//! Virtual key codes of Windows (winuser.h, "Virtual-Key Codes"), as keys of linux/input-event-codes.h at the same
//! places of a US keyboard.

/// The keys of the letters, from A on.
const LETTERS: [u8; 26] = [
    30, 48, 46, 32, 18, 33, 34, 35, 23, 36, 37, 38, 50, 49, 24, 25, 16, 19, 31, 20, 22, 47, 17, 45,
    21, 44,
];

/// The keys of the digits, from 0 on.
const DIGITS: [u8; 10] = [11, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/// The keys of the numeric keypad's digits, from 0 on.
const KEYPAD: [u8; 10] = [82, 79, 80, 81, 75, 76, 77, 71, 72, 73];

/// The key of a virtual key code; `None` where there is none, or none with a code below 256.
pub(super) fn key(code: u16) -> Option<u8> {
    // Moonlight sets the highest bit of all of them.
    let [code, _] = code.to_le_bytes();
    Some(match code {
        b'A'..=b'Z' => LETTERS[usize::from(code - b'A')],
        b'0'..=b'9' => DIGITS[usize::from(code - b'0')],
        0x60..=0x69 => KEYPAD[usize::from(code - 0x60)],
        // F1 to F10, F11 and F12, F13 to F24.
        0x70..=0x79 => 59 + (code - 0x70),
        0x7a..=0x7b => 87 + (code - 0x7a),
        0x7c..=0x87 => 183 + (code - 0x7c),
        0x08 => 14,        // KEY_BACKSPACE
        0x09 => 15,        // KEY_TAB
        0x0d => 28,        // KEY_ENTER
        0x10 | 0xa0 => 42, // KEY_LEFTSHIFT
        0x11 | 0xa2 => 29, // KEY_LEFTCTRL
        0x12 | 0xa4 => 56, // KEY_LEFTALT
        0x13 => 119,       // KEY_PAUSE
        0x14 => 58,        // KEY_CAPSLOCK
        0x15 => 122,       // KEY_HANGEUL
        0x19 => 123,       // KEY_HANJA
        0x1b => 1,         // KEY_ESC
        0x1c => 92,        // KEY_HENKAN
        0x1d => 94,        // KEY_MUHENKAN
        0x20 => 57,        // KEY_SPACE
        0x21 => 104,       // KEY_PAGEUP
        0x22 => 109,       // KEY_PAGEDOWN
        0x23 => 107,       // KEY_END
        0x24 => 102,       // KEY_HOME
        0x25 => 105,       // KEY_LEFT
        0x26 => 103,       // KEY_UP
        0x27 => 106,       // KEY_RIGHT
        0x28 => 108,       // KEY_DOWN
        0x2c => 99,        // KEY_SYSRQ
        0x2d => 110,       // KEY_INSERT
        0x2e => 111,       // KEY_DELETE
        0x2f => 138,       // KEY_HELP
        0x5b => 125,       // KEY_LEFTMETA
        0x5c => 126,       // KEY_RIGHTMETA
        0x5d => 127,       // KEY_COMPOSE
        0x5f => 142,       // KEY_SLEEP
        0x6a => 55,        // KEY_KPASTERISK
        0x6b => 78,        // KEY_KPPLUS
        0x6c => 121,       // KEY_KPCOMMA
        0x6d => 74,        // KEY_KPMINUS
        0x6e => 83,        // KEY_KPDOT
        0x6f => 98,        // KEY_KPSLASH
        0x90 => 69,        // KEY_NUMLOCK
        0x91 => 70,        // KEY_SCROLLLOCK
        0xa1 => 54,        // KEY_RIGHTSHIFT
        0xa3 => 97,        // KEY_RIGHTCTRL
        0xa5 => 100,       // KEY_RIGHTALT
        0xa6 => 158,       // KEY_BACK
        0xa7 => 159,       // KEY_FORWARD
        0xa8 => 173,       // KEY_REFRESH
        0xa9 => 128,       // KEY_STOP
        0xaa => 217,       // KEY_SEARCH
        0xab => 156,       // KEY_BOOKMARKS
        0xac => 172,       // KEY_HOMEPAGE
        0xad => 113,       // KEY_MUTE
        0xae => 114,       // KEY_VOLUMEDOWN
        0xaf => 115,       // KEY_VOLUMEUP
        0xb0 => 163,       // KEY_NEXTSONG
        0xb1 => 165,       // KEY_PREVIOUSSONG
        0xb2 => 166,       // KEY_STOPCD
        0xb3 => 164,       // KEY_PLAYPAUSE
        0xb4 => 155,       // KEY_MAIL
        0xba => 39,        // KEY_SEMICOLON
        0xbb => 13,        // KEY_EQUAL
        0xbc => 51,        // KEY_COMMA
        0xbd => 12,        // KEY_MINUS
        0xbe => 52,        // KEY_DOT
        0xbf => 53,        // KEY_SLASH
        0xc0 => 41,        // KEY_GRAVE
        0xdb => 26,        // KEY_LEFTBRACE
        0xdc => 43,        // KEY_BACKSLASH
        0xdd => 27,        // KEY_RIGHTBRACE
        0xde => 40,        // KEY_APOSTROPHE
        0xe2 => 86,        // KEY_102ND
        _ => return None,
    })
}

/// The keys of a modifier, the left one first: bits 1 shift, 2 control, 4 alt, 8 the Windows key.
pub(super) const MODIFIERS: [(u8, [u8; 2]); 4] =
    [(1, [42, 54]), (2, [29, 97]), (4, [56, 100]), (8, [125, 126])];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_codes_are_one_key_but_both_forms_of_a_modifier() {
        let mut codes_of = [0_u8; 256];
        for code in 0..=255 {
            if let Some(key) = key(code) {
                assert_eq!(super::key(code | 0x8000), Some(key));
                codes_of[usize::from(key)] += 1;
            }
        }
        for (key, codes) in (0..=255_u8).zip(codes_of) {
            let is_modifier = [42, 29, 56].contains(&key);
            assert!(codes <= 1 + u8::from(is_modifier), "key {key}");
        }
        assert_eq!(codes_of[0], 0);
    }
}
