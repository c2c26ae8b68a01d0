//! Text reports with bar charts for terminals.

use super::quality::{NAIVE_BINS, Quality};
use std::fmt;

/// A bar of up to `width` characters, in eighths.
pub(super) fn bar_of(value: f64, most: f64, width: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    if !(most > 0.0 && value > 0.0) {
        return String::new();
    }
    let eighths = (value / most * width as f64 * 8.0).round() as usize;
    // Any value above zero is visible.
    let eighths = eighths.clamp(1, width * 8);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(last) = EIGHTHS.get(eighths % 8).filter(|last| **last != ' ') {
        bar.push(*last);
    }
    bar
}

/// A histogram of `values` in at most `rows` rows.
pub(super) fn histogram(f: &mut fmt::Formatter<'_>, values: &[usize], rows: usize) -> fmt::Result {
    let (Some(&low), Some(&high)) = (values.iter().min(), values.iter().max()) else {
        return Ok(());
    };
    let width = (high - low + 1).div_ceil(rows).max(1);
    let mut counts = vec![0usize; (high - low) / width + 1];
    for value in values {
        if let Some(count) = counts.get_mut((value - low) / width) {
            *count += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0) as f64;
    for (row, &count) in counts.iter().enumerate() {
        let from = low + row * width;
        let label = if width == 1 {
            from.to_string()
        } else {
            format!("{from}–{}", from + width - 1)
        };
        writeln!(
            f,
            "  {label:>11} {count:>7} {}",
            bar_of(count as f64, most, 40)
        )?;
    }
    Ok(())
}

/// Measurements with the names and units of the dimensions.
pub(super) struct Described<'a> {
    pub(super) quality: &'a Quality,
    pub(super) names: &'a [String],
    /// Data units per normalised unit; empty if nothing was normalised.
    pub(super) data_units: &'a [f64],
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quality {
            chunks,
            tokens,
            dims,
            ..
        } = self.quality;
        let share = |count: usize| 100.0 * count as f64 / (*chunks).max(1) as f64;
        writeln!(
            f,
            "  tokens per chunk   {:>8.1}   (99th percentile {:.0}, at most {})",
            tokens.mean, tokens.p99, tokens.max
        )?;
        writeln!(
            f,
            "  compression        {:>7.1}x   (values per token; naive binning takes one token per value)",
            tokens.compression
        )?;
        writeln!(
            f,
            "  without loss       {:>7.1}%   ({} of {chunks} chunks)",
            share(self.quality.lossless_chunks),
            self.quality.lossless_chunks
        )?;
        write!(
            f,
            "  undecodable        {:>7.1}%",
            share(self.quality.undecodable_chunks)
        )?;
        if self.quality.undecodable_chunks > 0 {
            write!(
                f,
                "   ({} chunks lose coefficients; encode them with --nearest)",
                self.quality.undecodable_chunks
            )?;
        }
        writeln!(f)?;
        writeln!(f, "  ids in use         {:>8}", self.quality.ids_used)?;
        writeln!(
            f,
            "  error (RMSE)       {:>8.4}   ({NAIVE_BINS} bins: {:.4})",
            self.quality.rmse, self.quality.naive_rmse
        )?;
        writeln!(f, "tokens per chunk")?;
        histogram(f, &self.quality.lengths, 12)?;
        write!(
            f,
            "error by dimension (normalised units)\n        dimension    RMSE     max"
        )?;
        write!(f, "   {NAIVE_BINS} bins")?;
        if !self.data_units.is_empty() {
            write!(f, "  in data units (RMSE, max)")?;
        }
        writeln!(f)?;
        let most = dims.iter().map(|dim| dim.rmse).fold(0.0, f64::max);
        for (index, dim) in dims.iter().enumerate() {
            let fallback = index.to_string();
            let name = self.names.get(index).unwrap_or(&fallback);
            write!(
                f,
                "  {name:>15}  {:.4}  {:.4}    {:.4}",
                dim.rmse, dim.max, dim.naive_rmse
            )?;
            if let Some(unit) = self.data_units.get(index) {
                write!(f, "  {:>9.4} {:>9.4}  ", dim.rmse * unit, dim.max * unit)?;
            }
            writeln!(f, "  {}", bar_of(dim.rmse, most, 24))?;
        }
        Ok(())
    }
}
