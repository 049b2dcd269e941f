//! The grid on which widgets lie: twelve columns, and rows downwards.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DocumentError, Widget};

/// How wide the grid is.
const COLUMNS: u16 = 12;
/// How tall a widget may be.
const MAX_HEIGHT: u16 = 24;
/// The last row.
const MAX_ROW: u16 = 4_999;

/// Where a widget lies, in cells of a grid of 12 columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WidgetPlace)]
pub struct Place {
    /// The first column, from 0.
    #[schema(maximum = 11)]
    pub x: u16,
    /// The first row, from 0.
    #[schema(maximum = 4999)]
    pub y: u16,
    /// How many columns; `x` and `w` together are at most 12.
    #[schema(minimum = 1, maximum = 12)]
    pub w: u16,
    /// How many rows.
    #[schema(minimum = 1, maximum = 24)]
    pub h: u16,
}

impl Place {
    pub(super) fn check(self, place: &str) -> Result<(), DocumentError> {
        let wrong = |member: &str, message: String| {
            Err(DocumentError::new(format!("{place}.{member}"), message))
        };
        if self.w == 0 || self.w > COLUMNS || self.x > COLUMNS - self.w {
            let message = format!(
                "the grid has {COLUMNS} columns: `w` is at least 1, and `x` and \
                                   `w` together at most {COLUMNS}"
            );
            return wrong("w", message);
        }
        if !(1..=MAX_HEIGHT).contains(&self.h) {
            return wrong("h", format!("a number of rows from 1 to {MAX_HEIGHT}"));
        }
        if self.y > MAX_ROW {
            return wrong("y", format!("a row from 0 to {MAX_ROW}"));
        }
        Ok(())
    }

    /// Whether two places have a cell in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}

/// Moves widgets down until none lies on another. Those that `stay`, which do not lie on each other,
/// are not moved; the others are fitted around them and those before. Places are within bounds, so
/// that no sum leaves its type.
pub(super) fn arrange(widgets: &mut [Widget], stays: impl Fn(&Widget) -> bool) {
    let (staying, moving): (Vec<&mut Widget>, Vec<&mut Widget>) =
        widgets.iter_mut().partition(|widget| stays(widget));
    let mut placed: Vec<Place> = staying.iter().map(|widget| widget.at).collect();
    for widget in moving {
        while let Some(other) = placed.iter().find(|other| other.overlaps(widget.at)) {
            widget.at.y = other.y + other.h;
        }
        placed.push(widget.at);
    }
}
