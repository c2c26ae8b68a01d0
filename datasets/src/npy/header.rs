//! The header of a `.npy` file: a Python dictionary with three keys.

const MAGIC: &[u8] = b"\x93NUMPY";

/// Maximum header length (bytes). Headers of numeric arrays have about a hundred bytes.
const MAX_LENGTH: usize = 64 << 10;

/// Content of the header.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    /// NumPy's description of the values. A structured one is the source text, which begins with `[`.
    pub(super) descr: String,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

/// Splits a file into the header's text and the data.
pub(super) fn split(bytes: &[u8]) -> Result<(&str, &[u8]), &'static str> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("it does not begin with \\x93NUMPY")?;
    let (version, rest) = rest.split_at_checked(2).ok_or("it ends in its version")?;
    let short = "it ends in its header";
    let (length, rest) = match version {
        [1, _] => {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        [2 | 3, _] => {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        _ => return Err("its version is not 1, 2 or 3"),
    };
    if length > MAX_LENGTH {
        return Err("its header is longer than any array's");
    }
    let (header, data) = rest.split_at_checked(length).ok_or(short)?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text")?;
    Ok((header, data))
}

impl Header {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        reader.expect('{')?;
        while !reader.take('}') {
            let key = reader.string()?;
            reader.expect(':')?;
            match key {
                "descr" => descr = Some(reader.descr()?),
                "fortran_order" => fortran_order = Some(reader.boolean()?),
                "shape" => shape = Some(reader.shape()?),
                other => return Err(format!("its header has an unknown key {other:?}")),
            }
            if !reader.take(',') {
                reader.expect('}')?;
                break;
            }
        }
        let missing = |key| format!("its header lacks {key:?}");
        Ok(Self {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }
}

/// Parser of the Python literals that occur in headers.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, expected: char) -> bool {
        match self.rest.trim_start().strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, expected: char) -> Result<(), String> {
        if self.take(expected) {
            return Ok(());
        }
        let found: String = self.rest.trim_start().chars().take(12).collect();
        Err(format!(
            "its header has {found:?} where {expected:?} is expected"
        ))
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.take('"') {
            '"'
        } else {
            self.expect('\'')?;
            '\''
        };
        let (text, rest) = self
            .rest
            .split_once(quote)
            .ok_or("its header has an unterminated string")?;
        self.rest = rest;
        Ok(text)
    }

    /// A plain dtype, or the text of a structured one up to its closing bracket.
    fn descr(&mut self) -> Result<String, String> {
        let start = self.rest.trim_start();
        if !start.starts_with('[') {
            return self.string().map(str::to_owned);
        }
        let mut depth = 0_usize;
        for (at, character) in start.char_indices() {
            match character {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                let (descr, rest) = start.split_at_checked(at + 1).unwrap_or((start, ""));
                self.rest = rest;
                return Ok(descr.to_owned());
            }
        }
        Err("its header has an unterminated list".to_owned())
    }

    fn boolean(&mut self) -> Result<bool, String> {
        let start = self.rest.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = start.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err("its header's fortran_order is neither True nor False".to_owned())
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            let start = self.rest.trim_start();
            let end = start
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(start.len());
            let (digits, rest) = start.split_at_checked(end).unwrap_or((start, ""));
            let axis = digits
                .parse()
                .map_err(|_| "its header's shape is not a tuple of lengths".to_owned())?;
            shape.push(axis);
            // Python 2 wrote long integers.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }
}

/// A complete header as NumPy writes it: version 1, padded so that the values begin at a multiple of 64.
pub(super) fn write(shape: &[usize]) -> Vec<u8> {
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let shape = match axes.as_slice() {
        [only] => format!("({only},)"),
        axes => format!("({})", axes.join(", ")),
    };
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let before = MAGIC.len() + 4;
    let padded = (before + text.len() + 1).next_multiple_of(64) - before;
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    // Shapes of a few axes: far below 64 KiB.
    out.extend(u16::try_from(padded).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(format!("{text:<width$}\n", width = padded - 1).bytes());
    out
}
