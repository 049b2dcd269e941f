SELECT
    disposition,
    round(stddev(duration_s), 6) AS deviation,
    round(var_pop(duration_s), 6) AS variance,
    median(duration_s) AS middle,
    percentile_cont(duration_s, 0.25) AS quarter,
    bit_or(duration_s) AS bits,
    bool_and(duration_s > 0) AS all_talked
FROM events."crm.call_logged"
GROUP BY disposition
