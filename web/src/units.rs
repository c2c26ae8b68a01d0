//! Normalized action values in robot units.

use protocol::viewer::ActionDimension;

/// One value, unnormalized as in the reference: clipped first, and unchanged outside the mask.
pub fn to_robot_units(normalised: f32, dimension: &ActionDimension) -> f32 {
    let clipped = normalised.clamp(-1.0, 1.0);
    if dimension.normalised {
        (clipped + 1.0) * (dimension.high - dimension.low) / 2.0 + dimension.low
    } else {
        clipped
    }
}

/// One joint's column of a row-major `[rows, dims]` chunk.
pub fn column(chunk: &[f32], dims: usize, joint: usize) -> impl Iterator<Item = f32> + '_ {
    chunk
        .chunks_exact(dims.max(1))
        .filter_map(move |row| row.get(joint).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_are_the_quantiles() {
        let joint = ActionDimension {
            name: "j".into(),
            low: -40.0,
            high: 60.0,
            normalised: true,
        };
        assert_eq!(to_robot_units(-1.0, &joint), -40.0);
        assert_eq!(to_robot_units(0.0, &joint), 10.0);
        assert_eq!(to_robot_units(7.0, &joint), 60.0);
        let gripper = ActionDimension {
            normalised: false,
            ..joint
        };
        assert_eq!(to_robot_units(0.5, &gripper), 0.5);
    }

    #[test]
    fn a_column_picks_every_row() {
        let chunk = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(column(&chunk, 2, 1).collect::<Vec<_>>(), [2.0, 4.0, 6.0]);
        assert_eq!(column(&chunk, 2, 9).count(), 0);
        assert_eq!(column(&chunk, 0, 0).count(), 6);
    }
}
