//! Binary PPM pictures, one after the other, as they come out of a pipe.

use datasets::images::{MOST_SIDE, PictureLimits};
use std::io::{self, BufRead};
use vision::RgbImage;

/// Why no more pictures were read.
#[derive(Debug)]
pub(super) enum Broken {
    /// The pipe ended within one.
    Off(String),
    /// What came is no picture, or cannot be kept.
    Bad(String),
    /// There are more than are read.
    TooMany,
}

/// The next binary PPM picture, or none at the end of the pipe.
pub(super) fn picture(pipe: &mut impl BufRead) -> Result<Option<RgbImage>, Broken> {
    if pipe
        .fill_buf()
        .map_err(|error| Broken::Off(error.to_string()))?
        .is_empty()
    {
        return Ok(None);
    }
    let bad = |reason: &str| Broken::Bad(reason.to_owned());
    if word(pipe)? != "P6" {
        return Err(bad("it does not begin with P6"));
    }
    let mut number = |what: &str, most: usize| -> Result<usize, Broken> {
        let word = word(pipe)?;
        match word.parse::<usize>() {
            Ok(value) if (1..=most).contains(&value) => Ok(value),
            _ => Err(Broken::Bad(format!(
                "{word:?} is not a {what} from 1 to {most}"
            ))),
        }
    };
    let width = number("width", MOST_SIDE as usize)?;
    let height = number("height", MOST_SIDE as usize)?;
    number("depth", 255)?;
    let most = PictureLimits::FRAME.pixels;
    if (width * height) as u64 > most {
        return Err(Broken::Bad(format!(
            "{width}x{height} pixels are more than the {most} that are read"
        )));
    }
    let mut data = vec![0; width * height * 3];
    pipe.read_exact(&mut data).map_err(|error| {
        Broken::Off(format!(
            "it ends within its {width}x{height} pixels: {error}"
        ))
    })?;
    RgbImage::new(width, height, data)
        .map(Some)
        .map_err(|error| Broken::Bad(error.to_string()))
}

/// Letters up to the next white space, which is taken too.
fn word(pipe: &mut impl BufRead) -> Result<String, Broken> {
    let mut word = String::new();
    for byte in io::Read::bytes(pipe) {
        let byte = byte.map_err(|error| Broken::Off(error.to_string()))?;
        if byte.is_ascii_whitespace() {
            return Ok(word);
        }
        word.push(char::from(byte));
        if word.len() > 16 {
            return Err(Broken::Bad(format!("its header has {word:?}")));
        }
    }
    Err(Broken::Off(format!("it ends within its header {word:?}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn pictures_are_cut_out_of_a_pipe() {
        let mut bytes = b"P6\n2 1\n255\n\x01\x02\x03\x04\x05\x06".to_vec();
        bytes.extend(b"P6\n1 1\n255\n \n\t");
        let mut pipe = bytes.as_slice();
        let first = picture(&mut pipe).unwrap().unwrap();
        assert_eq!((first.width(), first.data()), (2, &[1, 2, 3, 4, 5, 6][..]));
        let second = picture(&mut pipe).unwrap().unwrap();
        assert_eq!(second.data(), b" \n\t");
        assert!(picture(&mut pipe).unwrap().is_none());
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for bytes in [
            &b"P5\n1 1\n255\n1"[..],
            b"P6\n0 1\n255\n",
            b"P6\n99999 1\n255\n",
            // More memory than a picture may take, though no side is too long.
            b"P6\n20000 20000\n255\n",
            b"P6\n2 2\n255\n123",
            b"P6\n1 1\n65535\n123456",
            b"Error while decoding stream",
        ] {
            assert!(picture(&mut &*bytes).is_err(), "{bytes:?}");
        }
    }
}
