//! An image could not be used.

/// An image could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A side of zero, or more pixels than an address can hold.
    #[error("an image of {width}x{height} pixels cannot be held; both sides must be at least 1")]
    BadSize {
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// The bytes do not fill the stated size.
    #[error(
        "an RGB image of {width}x{height} pixels takes {want} bytes (three per pixel), but {got} came"
    )]
    WrongLength {
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes that the size requires.
        want: usize,
        /// Bytes given.
        got: usize,
    },
    /// The image cannot be cut into whole patches.
    #[error(
        "an image of {width}x{height} pixels cannot be cut into patches of {patch_size}x{patch_size}"
    )]
    NotWholePatches {
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
        /// Pixels along one side of a patch.
        patch_size: usize,
    },
    /// A pooling window or grid without extent.
    #[error(
        "a grid of {rows}x{columns} patches cannot be pooled in windows of {window_rows}x{window_columns}; \
         all four must be at least 1, and the indices must fit 32 bits"
    )]
    BadPooling {
        /// Patches along the height.
        rows: usize,
        /// Patches along the width.
        columns: usize,
        /// Patches of one window along the height.
        window_rows: usize,
        /// Patches of one window along the width.
        window_columns: usize,
    },
    /// Crops that cannot be cut.
    #[error(
        "images cannot be cut into at most {} crops of {size}x{size} pixels with patches of {} pixels, margins \
         of {:?} patches and windows of {:?} patches: a crop must hold whole patches and more of them than its \
         two margins together",
        .max_crops, .patch_size, .overlap_margins, .pooling,
        size = .crop_size
    )]
    BadTiling {
        /// Pixels along one side of a crop.
        crop_size: usize,
        /// Pixels along one side of a patch.
        patch_size: usize,
        /// Most crops of one image.
        max_crops: usize,
        /// Patches at the two sides of a crop that belong to its neighbours.
        overlap_margins: [usize; 2],
        /// Patches pooled into one token, along the height and the width.
        pooling: [usize; 2],
    },
    /// A standard deviation that cannot be divided by.
    #[error("image_std of channel {channel} is {std}; it must be a number above 0", std = f32::from_bits(*.std_bits))]
    BadStd {
        /// 0 red, 1 green, 2 blue.
        channel: usize,
        /// The bits of the value (kept so that errors can be compared).
        std_bits: u32,
    },
}
