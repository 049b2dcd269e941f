//! The dashboards that a tenant begins with by its template: their tiles as widgets, in rows.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::document::SCHEMA;
use super::{Dashboard, DashboardError, Head, Origin, name, read, whole};
use crate::templates::{self, Template, Tile, TileKind};

/// The columns of a dashboard's grid.
const COLUMNS: u16 = 12;

/// The dashboards of a template, in its order, made at that time. Their ids follow from the template.
pub fn of_template(
    template: &Template,
    at: DateTime<Utc>,
) -> Result<Vec<Dashboard>, DashboardError> {
    let places = template.dashboards.iter().zip(0..);
    // Lists are in the order of creation.
    let at = |place: i64| whole(at + TimeDelta::microseconds(place));
    places.map(|(given, place)| given_by(template, given, at(place))).collect()
}

fn given_by(
    template: &Template,
    given: &templates::Dashboard,
    at: DateTime<Utc>,
) -> Result<Dashboard, DashboardError> {
    let Template { vertical, version, .. } = template;
    let document = read(document(given))?;
    Ok(Dashboard {
        head: Head {
            id: format!("{vertical}-{}", given.id).parse()?,
            version: 1,
            name: name(&given.title)?,
            changed_by: String::new(),
            created_at: at,
            changed_at: at,
            origin: Some(Origin {
                template: format!("{vertical}/{}", given.id),
                version: *version,
            }),
        },
        base: Some(document.clone()),
        document,
    })
}

fn document(given: &templates::Dashboard) -> Value {
    let mut rows = Rows::default();
    let widgets: Vec<Value> =
        given.tiles.iter().map(|tile| widget(tile, &rows.place(tile.kind))).collect();
    json!({ "schema": SCHEMA, "filters": [], "widgets": widgets })
}

fn widget(tile: &Tile, at: &Value) -> Value {
    json!({
        "id": id(&tile.title),
        "title": tile.title,
        "at": at,
        "source": { "view": tile.view, "where": tile.filter },
        "show": show(tile),
    })
}

fn show(tile: &Tile) -> Value {
    let measure = json!({ "column": tile.value });
    let sort = tile.sort.as_deref().map(|sort| match sort.strip_prefix('-') {
        Some(column) => json!({ "column": column, "descending": true }),
        None => json!({ "column": sort }),
    });
    match tile.kind {
        TileKind::Figure => json!({
            "kind": "kpi", "value": measure, "currency": tile.currency,
            "delta": { "since": "opened" }, "sparkline": "live", "better": "neither",
        }),
        TileKind::Bars => json!({
            "kind": "bar", "by": tile.by, "values": [measure], "currency": tile.currency,
            "sort": sort, "limit": tile.limit,
        }),
        // The largest few, whatever they are.
        TileKind::Ranking => json!({
            "kind": "bar", "by": tile.by, "values": [measure], "currency": tile.currency,
            "sort": { "column": tile.value, "descending": true }, "limit": tile.limit,
        }),
        TileKind::Table => json!({
            "kind": "table", "columns": tile.columns, "sort": sort, "limit": tile.limit,
        }),
    }
}

/// The id of a widget: its title in small letters and digits. It stays while others come and go.
fn id(title: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    title.chars().map(plain).take(64).collect()
}

/// Widgets side by side, those of one height in a row.
#[derive(Default)]
struct Rows {
    x: u16,
    y: u16,
    height: u16,
}

impl Rows {
    /// Where the next one lies.
    fn place(&mut self, kind: TileKind) -> Value {
        let (w, h) = match kind {
            TileKind::Figure => (3, 2),
            TileKind::Bars | TileKind::Ranking => (6, 5),
            TileKind::Table => (12, 7),
        };
        if self.x + w > COLUMNS || self.height != h {
            *self = Self { x: 0, y: self.y + self.height, height: h };
        }
        let at = json!({ "x": self.x, "y": self.y, "w": w, "h": h });
        self.x += w;
        at
    }
}
