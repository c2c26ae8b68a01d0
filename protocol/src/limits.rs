//! Upper bounds of all fields that a peer fills.

/// Largest frame that either side accepts, in bytes. It holds three raw 640x480 views with depth several times.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// Longest text of any kind (instructions, names, reasons), in bytes.
pub const MAX_TEXT_BYTES: usize = 2000;
/// Longest name (a robot, joint, camera, tag or unit, the id of a robot), in bytes.
pub const MAX_NAME_BYTES: usize = 256;
/// Longest text of a model (a prompt, an answer) or of a recording, in bytes.
pub const MAX_LONG_TEXT_BYTES: usize = 64 << 10;
/// Longest explanation of an error, in bytes.
pub const MAX_ERROR_BYTES: usize = 4000;
/// Longest code of an error, in bytes.
pub const MAX_CODE_BYTES: usize = 64;
/// Longest side of an image in pixels.
pub const MAX_IMAGE_SIDE: u32 = 4096;
/// Most values in a state or action vector.
pub const MAX_DIMS: usize = 64;
/// Most rows in an action chunk.
pub const MAX_ROWS: usize = 256;
/// Most cameras on one robot.
pub const MAX_VIEWS: usize = 8;
/// Most example instructions of one robot.
pub const MAX_EXAMPLES: usize = 64;
/// Most action tokens of one chunk.
pub const MAX_TOKENS: usize = 1 << 16;
/// Most measured stages of one computation.
pub const MAX_STAGES: usize = 64;
/// Most entries of the studio's lists of files and recordings.
pub const MAX_LISTED: usize = 1 << 20;
