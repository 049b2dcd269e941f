SELECT event_id, word, invoice_id
FROM (
    SELECT event_id, invoice_id, unnest(string_to_array(invoice_id || ' ' || customer_id || ' x', ' ')) AS word
    FROM events."invoicing.invoice_issued"
)
WHERE word <> 'x'
