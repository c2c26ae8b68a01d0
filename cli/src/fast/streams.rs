//! Token files: a JSON list of lists of ids.

use anyhow::bail;
use field_files::{Limit, json, write_whole};
use serde_json::Value;
use std::{
    fmt::Write as _,
    io::{self},
    path::Path,
};

/// Maximum size of a token file. Its streams take twice that in memory.
const MAX_FILE: Limit = Limit(1 << 30);

/// Reads streams of token ids.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Vec<u32>>> {
    let bytes = field_files::read(path, MAX_FILE)?;
    let error = match serde_json::from_slice(&bytes) {
        Ok(streams) => return Ok(streams),
        Err(error) => error,
    };
    // Parse again as a tree to locate the fault. A tree takes many times the memory of its text, so `json::parse`
    // limits it.
    let fault = match json::parse(&bytes) {
        Ok(value) => first_fault(&value),
        Err(_) if error.is_data() => error.to_string(),
        Err(invalid) => invalid.to_string(),
    };
    bail!(
        "{}: {fault}; expected is a list of lists of token ids, [[12, 7, 300], [5]]",
        path.display()
    )
}

/// Description of the first value that is not as expected.
fn first_fault(value: &Value) -> String {
    let Value::Array(streams) = value else {
        return format!("it is {}, not a list", kind(value));
    };
    for (index, stream) in streams.iter().enumerate() {
        let Value::Array(ids) = stream else {
            return format!("[{index}] is {}, not a list", kind(stream));
        };
        for (position, id) in ids.iter().enumerate() {
            let fits = id.as_u64().is_some_and(|id| u32::try_from(id).is_ok());
            if !fits {
                return format!("[{index}][{position}] is {}, not a token id", kind(id));
            }
        }
    }
    "it cannot be read".to_owned()
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("the text {:?}", text.chars().take(20).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// Writes one stream per line, atomically.
pub(super) fn write(path: &Path, streams: &[Vec<u32>]) -> io::Result<()> {
    write_whole(path, |file| write_lines(io::BufWriter::new(file), streams))
}

fn write_lines(mut file: impl io::Write, streams: &[Vec<u32>]) -> io::Result<()> {
    let mut line = String::new();
    file.write_all(b"[")?;
    for (index, stream) in streams.iter().enumerate() {
        line.clear();
        line.push_str(if index == 0 { "\n[" } else { ",\n[" });
        for (position, id) in stream.iter().enumerate() {
            if position > 0 {
                line.push(',');
            }
            write!(line, "{id}").map_err(io::Error::other)?;
        }
        line.push(']');
        file.write_all(line.as_bytes())?;
    }
    file.write_all(if streams.is_empty() { b"]\n" } else { b"\n]\n" })?;
    file.flush()
}
