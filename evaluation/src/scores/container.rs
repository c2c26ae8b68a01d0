//! The end of a video file, as its own bytes state it: a file that was cut short is decoded without an error.
//!
//! Only the outermost parts are looked at, a length and a jump each, so that a file of any size takes milliseconds. What is not
//! understood is not judged: a file is called cut only where a part of it says that it goes on after the last byte.

use std::{
    fs::File,
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// Parts of a file that are looked at.
const MOST_PARTS: usize = 4 << 20;
/// Writers of AVI differ in whether its length counts its own field; so much is not missing (bytes).
const SLACK: u64 = 8;
/// The outermost boxes of MP4 and its kin. Cameras put notes of their own after them.
const BOXES: [&[u8; 4]; 18] = [
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"ssix", b"free", b"skip",
    b"wide", b"uuid", b"udta", b"meta", b"emsg", b"prft", b"pdin", b"pnot",
];
/// The element of Matroska that everything is in.
const SEGMENT: u64 = 0x1853_8067;
/// A length that is not known, of a file that was written to a pipe or not finished.
const OPEN: u64 = u64::MAX;

/// A sentence about what is missing at the end of a file, if something is. `None` too for formats that do not state it, such as
/// raw streams, and for what cannot be read.
pub(super) fn shortfall(path: &Path) -> Option<String> {
    let size = path
        .metadata()
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    let mut bytes = Bytes {
        file: BufReader::new(File::open(path).ok()?),
        at: 0,
        size,
    };
    let end = bytes.end().ok()??;
    let found = match end {
        End::At(needed) => format!("it goes on to byte {needed} by its own words, and has {size}"),
        End::Missing(what) => format!("it has {size} bytes, and {what}"),
    };
    Some(format!(
        "it was cut short, as when a download or a recording is interrupted: {found}"
    ))
}

/// The end of a file that is not there.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// A place after the last byte.
    At(u64),
    /// The part that comes last in its format is not there.
    Missing(&'static str),
}

/// A file, and where it is read.
struct Bytes {
    file: BufReader<File>,
    at: u64,
    size: u64,
}

impl Bytes {
    fn end(&mut self) -> io::Result<Option<End>> {
        let start = self.take::<12>()?;
        self.jump(0)?;
        match start {
            [0x1a, 0x45, 0xdf, 0xa3, ..] => self.matroska(),
            [b'R', b'I', b'F', b'F', .., b'A', b'V', b'I', b' '] => self.riff(),
            [b'G', b'I', b'F', b'8', ..] => self.gif(),
            [b'F', b'L', b'V', 1, ..] => self.flv(),
            [b'O', b'g', b'g', b'S', ..] => self.ogg(),
            [_, _, _, _, b'f', b't', b'y', b'p', ..]
            | [_, _, _, _, b'm', b'o', b'o', b'v', ..]
            | [_, _, _, _, b'w', b'i', b'd', b'e', ..]
            | [_, _, _, _, b'm', b'd', b'a', b't', ..] => self.boxes(),
            [0x47, ..] => self.packets(188, 0),
            [_, _, _, _, 0x47, ..] => self.packets(192, 4),
            _ => Ok(None),
        }
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut taken = [0; N];
        self.file.read_exact(&mut taken)?;
        self.at += N as u64;
        Ok(taken)
    }

    fn jump(&mut self, to: u64) -> io::Result<()> {
        // Near places are in the buffer already.
        match i64::try_from(i128::from(to) - i128::from(self.at)) {
            Ok(distance) => self.file.seek_relative(distance)?,
            Err(_) => {
                self.file.seek(SeekFrom::Start(to))?;
            }
        }
        self.at = to;
        Ok(())
    }

    /// The end of a part of `length` bytes from here, if it is not in the file; else goes there.
    fn pass(&mut self, length: u64) -> io::Result<Option<End>> {
        let end = self.at.saturating_add(length);
        if end > self.size {
            return Ok(Some(End::At(end)));
        }
        self.jump(end)?;
        Ok(None)
    }

    /// True if `bytes` more can be read.
    fn has(&self, bytes: u64) -> bool {
        self.size.saturating_sub(self.at) >= bytes
    }

    /// Pages of Ogg: a header that ends with the number of lengths, the lengths, and the bytes of their sum.
    fn ogg(&mut self) -> io::Result<Option<End>> {
        const CUT: Option<End> = Some(End::Missing("its last page is not whole"));
        for _ in 0..MOST_PARTS {
            if self.at == self.size {
                break;
            }
            if !self.has(27) {
                let rest = self.size - self.at;
                let start = if rest >= 4 {
                    self.take::<4>()?.to_vec()
                } else {
                    Vec::new()
                };
                return Ok(if rest < 4 || start == *b"OggS" {
                    CUT
                } else {
                    None
                });
            }
            let [b'O', b'g', b'g', b'S', .., count] = self.take::<27>()? else {
                break;
            };
            let mut length = 0;
            for _ in 0..count {
                if !self.has(1) {
                    return Ok(CUT);
                }
                let [part] = self.take::<1>()?;
                length += u64::from(part);
            }
            if self.pass(length)?.is_some() {
                return Ok(CUT);
            }
        }
        Ok(None)
    }

    /// Boxes of MP4 and its kin: a length, a name, and what the length says.
    fn boxes(&mut self) -> io::Result<Option<End>> {
        for _ in 0..MOST_PARTS {
            if !self.has(8) {
                break;
            }
            let [a, b, c, d, name @ ..] = self.take::<8>()?;
            if !BOXES.contains(&&name) {
                break;
            }
            let rest = match u64::from(u32::from_be_bytes([a, b, c, d])) {
                // To the end of the file.
                0 => break,
                1 if self.has(8) => u64::from_be_bytes(self.take()?).checked_sub(16),
                length => length.checked_sub(8),
            };
            let Some(rest) = rest else { break };
            if let Some(end) = self.pass(rest)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// The chunks of AVI: one, and in long files more of the same name.
    fn riff(&mut self) -> io::Result<Option<End>> {
        for _ in 0..MOST_PARTS {
            if !self.has(8) {
                break;
            }
            let [a, b, c, d, length @ ..] = self.take::<8>()?;
            let length = u32::from_le_bytes(length);
            // A recorder writes the length when it is done.
            if [a, b, c, d] != *b"RIFF" || length == 0 || length == u32::MAX {
                break;
            }
            let length = u64::from(length);
            if self.has(length.saturating_sub(SLACK)) && !self.has(length + 1) {
                break;
            }
            if let Some(end) = self.pass(length + length % 2)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// Elements of Matroska and `WebM`. Those of unknown length are entered.
    fn matroska(&mut self) -> io::Result<Option<End>> {
        for _ in 0..MOST_PARTS {
            if !self.has(1) {
                break;
            }
            let (Some(name), Some(length)) = (self.variable(4, false)?, self.variable(8, true)?)
            else {
                break;
            };
            if length == OPEN {
                continue;
            }
            if name == SEGMENT {
                return self.pass(length);
            }
            if let Some(end) = self.pass(length)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    /// A number of Matroska, of `most` bytes; its first bit that is set says how many it has, and is `cut` off. `None` for what
    /// is none, and at the end of the file.
    fn variable(&mut self, most: u32, cut: bool) -> io::Result<Option<u64>> {
        if !self.has(1) {
            return Ok(None);
        }
        let [first] = self.take::<1>()?;
        let more = first.leading_zeros();
        if more >= most || !self.has(u64::from(more)) {
            return Ok(None);
        }
        let mut value = u64::from(first);
        for _ in 0..more {
            let [byte] = self.take::<1>()?;
            value = (value << 8) | u64::from(byte);
        }
        if cut {
            let most = (1_u64 << (7 * (more + 1))) - 1;
            value &= most;
            if value == most {
                value = OPEN;
            }
        }
        Ok(Some(value))
    }

    /// Tags of FLV: eleven bytes with a length, and four after it.
    fn flv(&mut self) -> io::Result<Option<End>> {
        let [.., a, b, c, d] = self.take::<9>()?;
        self.jump(u64::from(u32::from_be_bytes([a, b, c, d])).saturating_add(4))?;
        for _ in 0..MOST_PARTS {
            if !self.has(11) {
                break;
            }
            let [kind, a, b, c, ..] = self.take::<11>()?;
            if !matches!(kind & 0x1f, 8 | 9 | 18) {
                break;
            }
            let length = u32::from_be_bytes([0, a, b, c]);
            if let Some(end) = self.pass(u64::from(length))? {
                return Ok(Some(end));
            }
            // The length again, which some leave out after the last.
            self.jump(self.at + 4)?;
        }
        Ok(None)
    }

    /// Blocks of GIF, up to the one that says that it is the last.
    fn gif(&mut self) -> io::Result<Option<End>> {
        let missing = Ok(Some(End::Missing("its last picture or its end is missing")));
        let [.., flags, _, _] = self.take::<13>()?;
        self.skip_colors(flags)?;
        for _ in 0..MOST_PARTS {
            if !self.has(1) {
                return missing;
            }
            match self.take::<1>()? {
                [0x21] if self.has(1) => {
                    self.take::<1>()?;
                }
                [0x2c] if self.has(10) => {
                    let [.., flags] = self.take::<9>()?;
                    self.skip_colors(flags)?;
                    if !self.has(1) {
                        return missing;
                    }
                    self.take::<1>()?;
                }
                [0x21 | 0x2c] => return missing,
                // Its end, or what is no GIF.
                _ => return Ok(None),
            }
            loop {
                if !self.has(1) {
                    return missing;
                }
                let [length] = self.take::<1>()?;
                if length == 0 {
                    break;
                }
                self.jump(self.at + u64::from(length))?;
            }
        }
        Ok(None)
    }

    fn skip_colors(&mut self, flags: u8) -> io::Result<()> {
        if flags & 0x80 != 0 {
            self.jump(self.at + (6_u64 << (flags & 7)))?;
        }
        Ok(())
    }

    /// Packets of a transport stream, all of one length. Where a stream ends between two, nobody can tell.
    fn packets(&mut self, length: u64, first: u64) -> io::Result<Option<End>> {
        for packet in 0..3 {
            let sync = packet * length + first;
            if sync >= self.size {
                return Ok(None);
            }
            self.jump(sync)?;
            if self.take::<1>()? != [0x47] {
                return Ok(None);
            }
        }
        Ok((!self.size.is_multiple_of(length))
            .then_some(End::Missing("its last packet is not whole")))
    }
}

#[cfg(test)]
mod tests;
