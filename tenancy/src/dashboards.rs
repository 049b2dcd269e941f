//! Dashboards: pages of figures, charts and tables over a tenant's views.

pub mod document;
