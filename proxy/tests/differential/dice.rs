//! Chance that is the same on every run, and mistakes made with it.

/// xorshift64*.
pub(crate) struct Dice(u64);

/// What parsers look for, and what they overlook.
const PIECES: &[&[u8]] = &[
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\0",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"\xff",
    b":",
    b";",
    b",",
    b"\"",
    b"\\",
    b"#",
    b"%",
    b"@",
    b"[::1]",
    b"0\r\n\r\n",
    b";a=\"",
    b"HTTP/1.1",
    b"Host: b\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
];

impl Dice {
    /// Different throws for each `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.roll(2);
        dice
    }

    /// One of the numbers below `sides`, which must not be 0.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % sides as u64) as usize
    }

    pub(crate) fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }

    /// Makes one mistake.
    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let place = self.roll(bytes.len() + 1);
        let end = place + self.roll((bytes.len() - place).min(24) + 1);
        match self.roll(7) {
            0 => bytes.truncate(place),
            1 => drop(bytes.drain(place..end)),
            2 => {
                let again = bytes[place..end].to_vec();
                let elsewhere = self.roll(bytes.len() + 1);
                bytes.splice(elsewhere..elsewhere, again);
            }
            3 if place < bytes.len() => bytes[place] ^= 1 << self.roll(8),
            4 if place < bytes.len() => bytes[place] = self.roll(256) as u8,
            _ => {
                let end = if self.one_in(2) { place } else { end };
                bytes.splice(place..end, self.pick(PIECES).iter().copied());
            }
        }
    }
}
