//! Products and their stock: ordered when it runs low, issued to projects, shipped, counted.

use super::line::Id;
use super::story::{Next, Product, Story, count};

const CATEGORIES: [&str; 3] = ["parts", "materials", "finished"];

impl Story {
    pub(super) fn add_product(&mut self) {
        let cost_cents = self.random.amount(2_400);
        let reorder = self.random.between(2, 20) * 10;
        let profile = self.profile;
        let number = self.products.len() as u64 + 1;
        self.products.push(Product {
            cost_cents,
            reorder,
            stock: vec![(0, false); profile.warehouses.len()],
        });
        let id = Id("PRD", number);
        let base = self.products.len() - 1;
        let name = profile.products.get(base % profile.products.len().max(1)).copied();
        let series = base / profile.products.len().max(1);
        let name = match (name, series) {
            (Some(name), 0) => name.to_owned(),
            (name, series) => format!("{} {}", name.unwrap_or("Product"), series + 1),
        };
        let category = self.random.pick(&CATEGORIES);
        self.line("inventory.product_added", &id)
            .text("product_id", &id)
            .text("name", &name)
            .text("sku", &format_args!("SKU-{number:05}"))
            .text("category", &category)
            .whole("reorder_point", reorder)
            .cents("standard_cost", cost_cents)
            .end();
        self.order(number as usize - 1, 0);
    }

    /// A product and a warehouse.
    fn some_shelf(&mut self) -> (usize, usize) {
        let product = self.random.favourite(self.products.len());
        (product, self.random.favourite(self.profile.warehouses.len()))
    }

    fn on_hand(&self, product: usize, warehouse: usize) -> i64 {
        let stock = self.products.get(product).and_then(|p| p.stock.get(warehouse));
        stock.map_or(0, |(on_hand, _)| *on_hand)
    }

    fn shelf(&mut self, product: usize, warehouse: usize) -> Option<&mut (i64, bool)> {
        self.products.get_mut(product)?.stock.get_mut(warehouse)
    }

    fn cost(&self, product: usize) -> i64 {
        self.products.get(product).map_or(1, |p| p.cost_cents)
    }

    /// Orders more, unless an order is under way. Suppliers take days, some take weeks.
    fn order(&mut self, product: usize, warehouse: usize) {
        let reorder = self.products.get(product).map_or(20, |p| p.reorder);
        let quantity = reorder * self.random.between(3, 8);
        match self.shelf(product, warehouse) {
            Some(shelf) if !shelf.1 => shelf.1 = true,
            _ => return,
        }
        let days = if self.random.chance(150) {
            self.random.between(14, 40)
        } else {
            self.random.between(1, 9)
        };
        self.plan_days(days, Next::Receipt { product, warehouse, quantity });
    }

    /// Takes some of what is there; `None` when nothing is, and then more is ordered.
    fn take(&mut self) -> Option<(usize, usize, i64)> {
        let (product, warehouse) = self.some_shelf();
        let on_hand = self.on_hand(product, warehouse);
        if on_hand <= 0 {
            self.order(product, warehouse);
            return None;
        }
        let quantity = self.random.between(1, 24).min(on_hand);
        let reorder = self.products.get(product).map_or(0, |p| p.reorder);
        if let Some(shelf) = self.shelf(product, warehouse) {
            shelf.0 -= quantity;
        }
        if on_hand - quantity < reorder {
            self.order(product, warehouse);
        }
        Some((product, warehouse, quantity))
    }

    pub(super) fn receive_stock(&mut self, product: usize, warehouse: usize, quantity: i64) {
        if let Some(shelf) = self.shelf(product, warehouse) {
            *shelf = (shelf.0 + quantity, false);
        }
        let cost = self.cost(product) * self.random.between(94, 108) / 100;
        let id = Id("M", count(&mut self.counters.movement));
        let place = self.profile.warehouses.get(warehouse).copied().unwrap_or("main");
        let order = self.random.below(100_000);
        self.line("inventory.stock_received", &id)
            .text("movement_id", &id)
            .text("product_id", &Id("PRD", product as u64 + 1))
            .text("warehouse", &place)
            .whole("quantity", quantity)
            .cents("unit_cost", cost.max(1))
            .text("purchase_order_id", &Id("PO", order))
            .end();
    }

    pub(super) fn issue_stock(&mut self) {
        let Some((product, warehouse, quantity)) = self.take() else {
            return self.log_time();
        };
        let cost = self.cost(product);
        let id = Id("M", count(&mut self.counters.movement));
        let place = self.profile.warehouses.get(warehouse).copied().unwrap_or("main");
        let project = self.some_project();
        self.line("inventory.stock_issued", &id)
            .text("movement_id", &id)
            .text("product_id", &Id("PRD", product as u64 + 1))
            .text("warehouse", &place)
            .whole("quantity", quantity)
            .cents("unit_cost", cost)
            .text("project_id", &Id("P", project))
            .end();
    }

    pub(super) fn ship_stock(&mut self) {
        let Some((product, warehouse, quantity)) = self.take() else {
            return self.log_call();
        };
        let movement = count(&mut self.counters.movement);
        let id = Id("M", movement);
        let profile = self.profile;
        let place = profile.warehouses.get(warehouse).copied().unwrap_or("main");
        // Whoever has none draws nothing, so that its story stays what it was.
        let carrier = (!profile.carriers.is_empty()).then(|| self.random.pick(profile.carriers));
        let line = self
            .line("inventory.stock_shipped", &id)
            .text("movement_id", &id)
            .text("product_id", &Id("PRD", product as u64 + 1))
            .text("warehouse", &place)
            .whole("quantity", quantity)
            .text("order_id", &Id("SO", movement));
        let line = match carrier {
            Some(carrier) => line.text("carrier", &carrier).whole("pallets", (quantity + 7) / 8),
            None => line,
        };
        line.end();
    }

    pub(super) fn adjust_stock(&mut self) {
        let (product, warehouse) = self.some_shelf();
        let change = self.random.between(-4, 3);
        let change = change.max(-self.on_hand(product, warehouse));
        if let Some(shelf) = self.shelf(product, warehouse) {
            shelf.0 += change;
        }
        let id = Id("M", count(&mut self.counters.movement));
        let place = self.profile.warehouses.get(warehouse).copied().unwrap_or("main");
        let reason = self.random.pick(&["count", "damage", "found"]);
        self.line("inventory.stock_adjusted", &id)
            .text("movement_id", &id)
            .text("product_id", &Id("PRD", product as u64 + 1))
            .text("warehouse", &place)
            .whole("quantity", change)
            .text("reason", &reason)
            .end();
    }
}
