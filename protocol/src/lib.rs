//! The studio's wire protocol: message types and codecs.
