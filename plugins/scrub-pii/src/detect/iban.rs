//! International bank account numbers (ISO 13616), with the length of each country and the check digits.

/// How long the numbers of each country are.
const LENGTHS: [(&[u8; 2], u8); 78] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
];

/// An IBAN that begins at `at`, the start of a word: where it ends. In one piece, or in groups of four as it is printed; capitals only.
#[must_use]
pub fn at(text: &[u8], at: usize) -> Option<usize> {
    let country = text.get(at..at + 2)?.first_chunk::<2>()?;
    if !text.get(at + 2..at + 4)?.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let wanted = usize::from(LENGTHS.binary_search_by_key(&country, |(code, _)| code).ok().map(|i| LENGTHS[i].1)?);
    let mut number = [0u8; 34];
    let (mut len, mut i) = (0, at);
    while len < wanted {
        match *text.get(i)? {
            byte @ (b'0'..=b'9' | b'A'..=b'Z') => {
                number[len] = byte;
                len += 1;
            }
            b' ' if len % 4 == 0 && len > 0 => {}
            _ => return None,
        }
        i += 1;
    }
    (super::ends_word(text, i) && checks(&number[..len])).then_some(i)
}

/// ISO 7064, mod 97-10: the first four characters go to the end, letters count from 10, the remainder is 1.
fn checks(number: &[u8]) -> bool {
    let (head, tail) = number.split_at(4);
    let remainder = tail.iter().chain(head).fold(0u32, |sum, &byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        letter => (sum * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    remainder == 1
}
