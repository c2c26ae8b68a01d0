//! Conversion of a model's marks for viewers.

use molmoact2::grounding::{Markup, Shapes};
use protocol::scene::{MAX_MARKS, MarkShape, SceneMark};

/// Marks for viewers. `views` are the view names in the order of the question's images.
pub(super) fn scene_marks(marks: &[Markup], views: &[String]) -> Vec<SceneMark> {
    let mut found = Vec::new();
    for (group, markup) in (0..).zip(marks) {
        let mut add = |image: usize, id: u32, shape: MarkShape| {
            if let Some(view) = views.get(image) {
                found.push(SceneMark {
                    view: view.clone(),
                    label: markup.label.clone(),
                    id,
                    group,
                    shape,
                });
            }
        };
        match &markup.shapes {
            Shapes::Points(points) => {
                for point in points {
                    let shape = MarkShape::Point {
                        x: point.x,
                        y: point.y,
                    };
                    add(point.image, point.id, shape);
                }
            }
            Shapes::Boxes(boxes) => {
                for area in boxes {
                    let shape = MarkShape::Box {
                        left: area.left,
                        top: area.top,
                        right: area.right,
                        bottom: area.bottom,
                    };
                    add(area.image, area.id, shape);
                }
            }
        }
    }
    found.truncate(MAX_MARKS);
    found
}
