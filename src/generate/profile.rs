//! What kind of firm a story tells of: how often each thing happens there, in which words.

/// How often each spontaneous thing happens, relative to the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights {
    /// Somebody logs hours.
    pub(crate) time: u16,
    /// An invoice goes out.
    pub(crate) invoice: u16,
    /// A bill comes in.
    pub(crate) bill: u16,
    /// A call is made.
    pub(crate) call: u16,
    /// An opportunity opens.
    pub(crate) opportunity: u16,
    /// Material goes to a project.
    pub(crate) issue: u16,
    /// Goods are shipped.
    pub(crate) ship: u16,
    /// Stock is counted.
    pub(crate) adjust: u16,
    /// A product is added.
    pub(crate) product: u16,
    /// A project's expense is recorded.
    pub(crate) expense: u16,
    /// A milestone is reached.
    pub(crate) milestone: u16,
    /// A project pauses, resumes or ends; a new one follows an end.
    pub(crate) status: u16,
    /// A budget changes.
    pub(crate) budget: u16,
    /// A rule is checked.
    pub(crate) compliance: u16,
    /// A repair is asked for.
    pub(crate) maintenance: u16,
    /// Somebody joins, moves, gets a raise or leaves.
    pub(crate) people: u16,
    /// A task is assigned.
    pub(crate) task: u16,
}

impl Weights {
    /// Nothing happens.
    pub(crate) const NONE: Self = Self {
        time: 0,
        invoice: 0,
        bill: 0,
        call: 0,
        opportunity: 0,
        issue: 0,
        ship: 0,
        adjust: 0,
        product: 0,
        expense: 0,
        milestone: 0,
        status: 0,
        budget: 0,
        compliance: 0,
        maintenance: 0,
        people: 0,
        task: 0,
    };
}

/// The modules of a firm that uses all.
pub(crate) const EVERY_MODULE: &[&str] = &[
    "crm",
    "invoicing",
    "purchasing",
    "hr",
    "inventory",
    "projects",
    "tasks",
    "governance",
    "property",
];

/// A kind of firm.
#[derive(Debug)]
pub(crate) struct Profile {
    /// The modules it uses: what happens in others is not told.
    pub(crate) modules: &'static [&'static str],
    /// ISO 4217.
    pub(crate) currency: &'static str,
    /// How often what happens.
    pub(crate) weights: Weights,
    /// The middle of an invoice's amount, in cents.
    pub(crate) invoice_cents: i64,
    /// The middle of an opportunity's amount, in cents.
    pub(crate) deal_cents: i64,
    /// The middle of a bill's amount, in cents.
    pub(crate) bill_cents: i64,
    /// The middle cost of an hour, in cents.
    pub(crate) hour_cents: i64,
    /// Days until an invoice is due.
    pub(crate) terms: i64,
    /// Invoices and logged hours of 1000 that belong to a project; of the bills it is half of that.
    pub(crate) on_projects: u64,
    /// Names of customers; numbered ids when empty.
    pub(crate) customers: &'static [&'static str],
    /// Names of suppliers; numbered ids when empty.
    pub(crate) suppliers: &'static [&'static str],
    /// Names of people; numbered ids when empty.
    pub(crate) people: &'static [&'static str],
    /// Names of projects.
    pub(crate) projects: &'static [&'static str],
    /// Names of products.
    pub(crate) products: &'static [&'static str],
    /// Departments.
    pub(crate) departments: &'static [&'static str],
    /// Titles of recurring tasks.
    pub(crate) tasks: &'static [&'static str],
    /// Warehouses.
    pub(crate) warehouses: &'static [&'static str],
    /// Who takes goods away; shipments that have some also say on how many pallets they go.
    pub(crate) carriers: &'static [&'static str],
    /// What hours are logged for; where none is named, they do not say.
    pub(crate) activities: &'static [&'static str],
}

impl Profile {
    /// Whether the firm has products on shelves at all.
    pub(crate) fn keeps_stock(&self) -> bool {
        self.weights.issue + self.weights.ship > 0
    }

    /// Whether events of a type are told: their module is used.
    pub(crate) fn tells(&self, kind: &str) -> bool {
        let module = kind.split('.').next().unwrap_or_default();
        self.modules.contains(&module)
    }
}

/// A firm that does a little of everything, with numbered ids.
pub(crate) static GENERAL: Profile = Profile {
    modules: EVERY_MODULE,
    currency: "EUR",
    weights: Weights {
        time: 300,
        invoice: 90,
        bill: 35,
        call: 90,
        opportunity: 30,
        issue: 60,
        ship: 90,
        adjust: 8,
        product: 3,
        expense: 30,
        milestone: 8,
        status: 8,
        budget: 4,
        compliance: 12,
        maintenance: 12,
        people: 8,
        task: 2,
    },
    invoice_cents: 240_000,
    deal_cents: 1_800_000,
    bill_cents: 60_000,
    hour_cents: 4_800,
    terms: 30,
    on_projects: 750,
    customers: &[],
    suppliers: &[],
    people: &[],
    projects: &["Warehouse", "Portal", "Renewal", "Audit", "Line", "Store", "Survey", "Campaign"],
    products: &["Bracket", "Valve", "Cable", "Panel", "Filter", "Hinge", "Pump", "Sensor"],
    carriers: &[],
    activities: &[],
    departments: &["Production", "Sales", "Engineering", "Finance", "Operations"],
    tasks: &["Check the cold room", "Reconcile the bank", "Back up the till", "Safety walk"],
    warehouses: &["main", "north", "yard"],
};
