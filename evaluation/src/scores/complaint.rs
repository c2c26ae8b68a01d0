//! What ffmpeg complains of, in the words of a person.

use std::{fs::File, io::Read as _, path::Path};

/// Lines of a complaint that are shown.
const LINES: usize = 3;

/// The cause behind what ffmpeg or ffprobe said of `path`, with its own last words.
pub(super) fn cause(path: &Path, said: &str) -> String {
    let own = own_words(path, said);
    let Some(cause) = known(path, said) else {
        return if own.is_empty() {
            "it said nothing".to_owned()
        } else {
            own
        };
    };
    format!("{cause} (it said: {own})")
}

fn known(path: &Path, said: &str) -> Option<String> {
    let has = |words: &str| said.contains(words);
    if let Some(codec) = missing_decoder(said) {
        return Some(format!(
            "this ffmpeg cannot decode {codec}; install a build that can (Debian, Ubuntu: apt install ffmpeg; conda: conda \
             install -c conda-forge ffmpeg; or a static build of ffmpeg.org), and see what it can with `policy-studio doctor`"
        ));
    }
    // Said of anything with the ending of an MP4 file, too.
    let cause = if has("moov atom not found") && !begins_with_boxes(path) {
        "it is no video, whatever its name says"
    } else if has("moov atom not found") {
        "the file was never finished, as when a recording is interrupted or a download stops: its index is missing. \
         Record or copy it again; tools such as untrunc may recover its frames"
    } else if has("Picture size") {
        "its pictures are larger than is read"
    } else if has("matches no streams") || has("does not contain any stream") {
        "there are no pictures in it"
    } else if has("Invalid data found when processing input") {
        "it is damaged, cut short, or no video"
    } else if has("Permission denied") {
        "it may not be read by this user"
    } else if has("Unrecognized option") || has("Option not found") {
        "this ffmpeg does not know an option that every version from 4.4 on has; `policy-studio doctor` says which it is"
    } else if has("Unknown encoder")
        || has("No such filter")
        || has("Requested output format")
        || has("Protocol not found")
    {
        "this ffmpeg was built without a part that is needed (the encoder ppm, the output format image2pipe, the filters \
         scale, format and fps, the protocols file and pipe); install a complete one"
    } else if has("No such file or directory") && path.exists() {
        "this ffmpeg does not see the file, which is there: one that was installed as a snap or runs in a container sees a \
         part of the disk only; move the file into your home folder, or install another ffmpeg"
    } else {
        return None;
    };
    Some(cause.to_owned())
}

/// True if a file begins as MP4 and its kin do: with a length and the name of a box. One that cannot be read is believed to.
fn begins_with_boxes(path: &Path) -> bool {
    const BOXES: [&[u8]; 7] = [
        b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot",
    ];
    let mut beginning = [0; 8];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut beginning))
        .map_or(true, |()| {
            BOXES.iter().any(|name| beginning.ends_with(name))
        })
}

/// The codec that there is no decoder of, as versions from 4 to 9 say it.
fn missing_decoder(said: &str) -> Option<String> {
    let after = |words: &str| {
        let rest = said.split_once(words)?.1;
        let name: String = rest
            .trim_start()
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
            .collect();
        (!name.is_empty()).then_some(name)
    };
    if said.contains("hardware accelerated AV1 decoding") {
        return Some("av1".to_owned());
    }
    after("no decoder found for:").or_else(|| {
        let (before, _) = said.split_once(") not found for input stream")?;
        let (_, codec) = before.rsplit_once("(codec ")?;
        Some(codec.to_owned())
    })
}

/// The last lines, without the file's name, which the message already has.
pub(super) fn own_words(path: &Path, said: &str) -> String {
    let name = format!("file:{}: ", path.display());
    // Newer versions end with a line that says no more than which file it was.
    let only_named = format!("file:{}.", path.display());
    let lines: Vec<&str> = said
        .lines()
        .map(|line| line.trim().trim_start_matches(&name))
        .filter(|line| !line.is_empty() && !line.ends_with(&only_named))
        .collect();
    let mut last: Vec<&str> = Vec::new();
    for line in lines.iter().rev() {
        if last.len() < LINES && !last.contains(line) {
            last.push(line);
        }
    }
    last.reverse();
    last.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_version_says_is_understood() {
        for (said, cause) in [
            (
                "Decoder (codec av1) not found for input stream #0:0",
                "cannot decode av1",
            ),
            (
                "[vist#0:0/hevc @ 0x1] Decoding requested, but no decoder found for: hevc\n",
                "cannot decode hevc",
            ),
            (
                "[av1 @ 0x55] Your platform doesn't suppport hardware accelerated AV1 decoding.\n[av1 @ 0x55] Failed to get \
                 pixel format.",
                "cannot decode av1",
            ),
            (
                "[mov,mp4 @ 0x5] moov atom not found\nfile:/a/b.mp4: Invalid data found when processing input",
                "never finished",
            ),
            (
                "Stream map '0:V:0' matches no streams.",
                "no pictures in it",
            ),
            (
                "[NULL @ 0x5] Requested output format 'image2pipe' is not a suitable output format\npipe:: Invalid argument",
                "built without a part",
            ),
            (
                "[AVFormatContext @ 0x5] Requested output format 'image2pipe' is not known.\nError opening output file -.",
                "built without a part",
            ),
            (
                "[in#0 @ 0x5] Error opening input: Protocol not found\nError opening input file file:/a/b.mp4.",
                "built without a part",
            ),
            (
                "[vost#0:0 @ 0x5] Unknown encoder 'ppm'",
                "built without a part",
            ),
            // Nothing is known of a file that is really not there.
            (
                "file:/a/b.mp4: No such file or directory",
                "No such file or directory",
            ),
            ("Killed by the kernel", "Killed by the kernel"),
            ("", "it said nothing"),
        ] {
            let words = self::cause(Path::new("/a/b.mp4"), said);
            assert!(words.contains(cause), "{said}: {words}");
            assert!(!words.contains("/a/b.mp4"), "{words}");
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let words = self::cause(here, "Error opening input: No such file or directory");
        assert!(words.contains("does not see the file"), "{words}");
    }
}
