//! Events as text for peers: a file for each type, in the order of arrival, each id once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use serde_json::Value;

use crate::events::{Event, Seen, lines};
use crate::{Failure, Plan};

#[derive(clap::Args)]
pub(crate) struct Export {
    /// Where the files are written
    folder: PathBuf,
    #[command(flatten)]
    plan: Plan,
}

/// The types that the peer reads, each with the fields that it needs.
const TYPES: [(&str, &[&str]); 16] = [
    (
        "invoicing.invoice_issued",
        &["invoice_id", "customer_id", "project_id", "due_date", "amount", "currency"],
    ),
    ("invoicing.invoice_voided", &["invoice_id"]),
    ("invoicing.payment_received", &["invoice_id", "amount", "currency"]),
    ("invoicing.credit_issued", &["invoice_id", "amount", "currency"]),
    ("purchasing.bill_received", &["bill_id", "project_id", "amount", "currency"]),
    ("hr.employee_onboarded", &["employee_id", "hourly_cost", "start_date", "currency"]),
    ("hr.employee_rate_changed", &["employee_id", "hourly_cost", "effective_date"]),
    ("hr.time_logged", &["entry_id", "employee_id", "project_id", "work_date", "hours"]),
    ("hr.time_corrected", &["entry_id", "hours"]),
    ("inventory.stock_issued", &["project_id", "quantity", "unit_cost"]),
    ("projects.project_created", &["project_id", "name", "currency"]),
    ("projects.project_status_changed", &["project_id"]),
    ("projects.milestone_reached", &["project_id"]),
    ("governance.budget_set", &["project_id", "amount", "currency", "effective_date"]),
    ("governance.expense_recorded", &["project_id", "amount", "currency"]),
    ("governance.compliance_checked", &["project_id"]),
];
/// The currency of all tenants, in which is what names none.
const CURRENCY: &str = "EUR";

impl Export {
    pub(crate) fn run(self) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.folder)?;
        let mut files = HashMap::new();
        for (name, fields) in TYPES {
            let file = File::create(self.folder.join(format!("{name}.tsv")))?;
            files.insert(name, (BufWriter::with_capacity(1 << 20, file), fields));
        }
        let mut seen = Seen::default();
        for generated in lines(self.plan) {
            if !seen.is_new(generated.tenant, &generated.line) {
                continue;
            }
            let event: Event<'_> = serde_json::from_slice(&generated.line)?;
            let Some((file, fields)) = files.get_mut(event.r#type.as_ref()) else { continue };
            let time = event.time.trim_end_matches('Z').replace('T', " ");
            write!(file, "{}\t{}\t{time}", event.tenantid, event.id)?;
            for field in *fields {
                file.write_all(b"\t")?;
                match event.data.get(*field) {
                    // Generated texts have no tabs.
                    Some(Value::String(text)) => file.write_all(text.as_bytes())?,
                    None if *field == "currency" => file.write_all(CURRENCY.as_bytes())?,
                    Some(Value::Null) | None => {}
                    Some(other) => write!(file, "{other}")?,
                }
            }
            file.write_all(b"\n")?;
        }
        for (file, _) in files.values_mut() {
            file.flush()?;
        }
        println!("{}", seen.count());
        Ok(())
    }
}
