//! What of PostgreSQL's catalog is the same for every tenant: names, types, and the answers of
//! functions that have nothing to tell here.

/// What `version()` says: the words of PostgreSQL 16, for clients choose theirs by it.
pub(super) const VERSION: &str =
    concat!("PostgreSQL 16.0 (Tidemark ", env!("CARGO_PKG_VERSION"), ")");

/// From this number on relations are event types, which are named with their schema; those before
/// are views, or of the catalog.
pub(super) const EVENTS_FROM: u32 = 1 << 30;

/// The types that columns have, and some that clients look for, by their numbers.
pub(super) const TYPES: &[(u32, &str)] = &[
    (16, "boolean"),
    (17, "bytea"),
    (18, "\"char\""),
    (19, "name"),
    (20, "bigint"),
    (21, "smallint"),
    (23, "integer"),
    (25, "text"),
    (26, "oid"),
    (700, "real"),
    (701, "double precision"),
    (1042, "character"),
    (1043, "character varying"),
    (1082, "date"),
    (1114, "timestamp without time zone"),
    (1184, "timestamp with time zone"),
    (1700, "numeric"),
];

/// A table of the catalog: its columns, each as `name:type` or `name:type=default`, where the type is
/// `o` for a number of an object, `s`, `i` or `l` for a whole one of 2, 4 or 8 bytes, `f` for a
/// float, `b` for a truth value, `t` for a text. Without a default numbers are 0, truth values are
/// false, and texts are null.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
    /// Whether there is ever a row in it.
    pub(super) is_filled: bool,
}

const fn filled(name: &'static str, columns: &'static str) -> Table {
    Table { name, columns, is_filled: true }
}

const fn never(name: &'static str, columns: &'static str) -> Table {
    Table { name, columns, is_filled: false }
}

/// The tables of `pg_catalog`.
pub(super) const TABLES: &[Table] = &[
    filled("pg_namespace", "oid:o nspname:t nspowner:o=10 nspacl:t"),
    filled(
        "pg_class",
        "oid:o relname:t relnamespace:o reltype:o reloftype:o relowner:o=10 relam:o relfilenode:o \
         reltablespace:o relpages:i reltuples:f=-1 relallvisible:i reltoastrelid:o relhasindex:b \
         relisshared:b relpersistence:t=p relkind:t relnatts:s relchecks:s relhasrules:b \
         relhastriggers:b relhassubclass:b relrowsecurity:b relforcerowsecurity:b \
         relispopulated:b=true relreplident:t=n relispartition:b relrewrite:o relfrozenxid:o \
         relminmxid:o relacl:t reloptions:t relpartbound:t",
    ),
    filled(
        "pg_attribute",
        "attrelid:o attname:t atttypid:o attstattarget:i=-1 attlen:s attnum:s attndims:s \
         attcacheoff:i=-1 atttypmod:i=-1 attbyval:b attalign:t=i attstorage:t=p attcompression:t= \
         attnotnull:b atthasdef:b atthasmissing:b attidentity:t= attgenerated:t= attisdropped:b \
         attislocal:b=true attinhcount:s attcollation:o attacl:t attoptions:t attfdwoptions:t \
         attmissingval:t",
    ),
    filled(
        "pg_type",
        "oid:o typname:t typnamespace:o=11 typowner:o=10 typlen:s typbyval:b typtype:t=b \
         typcategory:t=U typispreferred:b typisdefined:b=true typdelim:t=, typrelid:o typsubscript:o \
         typelem:o typarray:o typinput:o typoutput:o typreceive:o typsend:o typmodin:o typmodout:o \
         typanalyze:o typalign:t=i typstorage:t=p typnotnull:b typbasetype:o typtypmod:i=-1 \
         typndims:i typcollation:o typdefaultbin:t typdefault:t typacl:t",
    ),
    filled(
        "pg_database",
        "oid:o=1 datname:t datdba:o=10 encoding:i=6 datlocprovider:t=c datistemplate:b \
         datallowconn:b=true datconnlimit:i=-1 datfrozenxid:o datminmxid:o dattablespace:o=1663 \
         datcollate:t=C datctype:t=C daticulocale:t daticurules:t datcollversion:t datacl:t",
    ),
    filled(
        "pg_roles",
        "oid:o=10 rolname:t rolsuper:b rolinherit:b=true rolcreaterole:b rolcreatedb:b \
         rolcanlogin:b=true rolreplication:b rolconnlimit:i=-1 rolpassword:t rolvaliduntil:t \
         rolbypassrls:b rolconfig:t",
    ),
    filled(
        "pg_user",
        "usename:t usesysid:o=10 usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t \
         valuntil:t useconfig:t",
    ),
    filled("pg_am", "oid:o=2 amname:t amhandler:o amtype:t=t"),
    filled("pg_tablespace", "oid:o=1663 spcname:t spcowner:o=10 spcacl:t spcoptions:t"),
    filled(
        "pg_tables",
        "schemaname:t tablename:t tableowner:t=tidemark tablespace:t hasindexes:b hasrules:b \
         hastriggers:b rowsecurity:b",
    ),
    filled("pg_views", "schemaname:t viewname:t viewowner:t=tidemark definition:t"),
    filled(
        "pg_rewrite",
        "oid:o rulename:t=_RETURN ev_class:o ev_type:t=1 ev_enabled:t=O is_instead:b=true \
         ev_qual:t ev_action:t",
    ),
    filled(
        "pg_settings",
        "name:t setting:t unit:t category:t short_desc:t extra_desc:t context:t=internal \
         vartype:t=string source:t=default min_val:t max_val:t enumvals:t boot_val:t reset_val:t \
         sourcefile:t sourceline:i pending_restart:b",
    ),
    never("pg_aggregate", "aggfnoid:o aggkind:t"),
    never("pg_attrdef", "oid:o adrelid:o adnum:s adbin:t"),
    never("pg_auth_members", "oid:o roleid:o member:o grantor:o admin_option:b"),
    never("pg_cast", "oid:o castsource:o casttarget:o castfunc:o castcontext:t castmethod:t"),
    never(
        "pg_collation",
        "oid:o collname:t collnamespace:o collowner:o collprovider:t collisdeterministic:b \
         collencoding:i collcollate:t collctype:t colliculocale:t collversion:t",
    ),
    never(
        "pg_constraint",
        "oid:o conname:t connamespace:o contype:t condeferrable:b condeferred:b convalidated:b \
         conrelid:o contypid:o conindid:o conparentid:o confrelid:o confupdtype:t confdeltype:t \
         confmatchtype:t conislocal:b coninhcount:s connoinherit:b conkey:t confkey:t conpfeqop:t \
         conppeqop:t conffeqop:t conexclop:t conbin:t",
    ),
    never("pg_conversion", "oid:o conname:t connamespace:o conowner:o"),
    never("pg_default_acl", "oid:o defaclrole:o defaclnamespace:o defaclobjtype:t defaclacl:t"),
    never(
        "pg_depend",
        "classid:o objid:o objsubid:i refclassid:o refobjid:o refobjsubid:i deptype:t",
    ),
    never("pg_description", "objoid:o classoid:o objsubid:i description:t"),
    never("pg_shdescription", "objoid:o classoid:o description:t"),
    never("pg_enum", "oid:o enumtypid:o enumsortorder:f enumlabel:t"),
    never("pg_event_trigger", "oid:o evtname:t evtevent:t evtowner:o evtfoid:o evtenabled:t"),
    never(
        "pg_extension",
        "oid:o extname:t extowner:o extnamespace:o extrelocatable:b extversion:t extconfig:t \
         extcondition:t",
    ),
    never("pg_foreign_data_wrapper", "oid:o fdwname:t fdwowner:o fdwhandler:o fdwvalidator:o"),
    never("pg_foreign_server", "oid:o srvname:t srvowner:o srvfdw:o srvtype:t srvversion:t"),
    never("pg_foreign_table", "ftrelid:o ftserver:o ftoptions:t"),
    never(
        "pg_index",
        "indexrelid:o indrelid:o indnatts:s indnkeyatts:s indisunique:b indnullsnotdistinct:b \
         indisprimary:b indisexclusion:b indimmediate:b indisclustered:b indisvalid:b \
         indcheckxmin:b indisready:b indislive:b indisreplident:b indkey:t indcollation:t \
         indclass:t indoption:t indexprs:t indpred:t",
    ),
    never("pg_indexes", "schemaname:t tablename:t indexname:t tablespace:t indexdef:t"),
    never("pg_inherits", "inhrelid:o inhparent:o inhseqno:i inhdetachpending:b"),
    never(
        "pg_language",
        "oid:o lanname:t lanowner:o lanispl:b lanpltrusted:b lanplcallfoid:o laninline:o",
    ),
    never("pg_locks", "locktype:t database:o relation:o pid:i mode:t granted:b"),
    never(
        "pg_matviews",
        "schemaname:t matviewname:t matviewowner:t tablespace:t hasindexes:b ispopulated:b \
         definition:t",
    ),
    never("pg_opclass", "oid:o opcmethod:o opcname:t opcnamespace:o opcintype:o opcdefault:b"),
    never(
        "pg_operator",
        "oid:o oprname:t oprnamespace:o oprowner:o oprkind:t oprleft:o oprright:o oprresult:o \
         oprcode:o",
    ),
    never("pg_partitioned_table", "partrelid:o partstrat:t partnatts:s partdefid:o"),
    never(
        "pg_policy",
        "oid:o polname:t polrelid:o polcmd:t polpermissive:b polroles:t polqual:t polwithcheck:t",
    ),
    never(
        "pg_proc",
        "oid:o proname:t pronamespace:o proowner:o prolang:o procost:f prorows:f provariadic:o \
         prosupport:o prokind:t prosecdef:b proleakproof:b proisstrict:b proretset:b provolatile:t \
         proparallel:t pronargs:s pronargdefaults:s prorettype:o proargtypes:t proallargtypes:t \
         proargmodes:t proargnames:t proargdefaults:t prosrc:t probin:t proconfig:t proacl:t",
    ),
    never("pg_publication", "oid:o pubname:t pubowner:o puballtables:b pubviaroot:b"),
    never("pg_publication_namespace", "oid:o pnpubid:o pnnspid:o"),
    never("pg_publication_rel", "oid:o prpubid:o prrelid:o prqual:t prattrs:t"),
    never(
        "pg_range",
        "rngtypid:o rngsubtype:o rngmultitypid:o rngcollation:o rngsubopc:o rngcanonical:o \
         rngsubdiff:o",
    ),
    never("pg_rules", "schemaname:t tablename:t rulename:t definition:t"),
    never("pg_seclabel", "objoid:o classoid:o objsubid:i provider:t label:t"),
    never(
        "pg_sequence",
        "seqrelid:o seqtypid:o seqstart:l seqincrement:l seqmax:l seqmin:l seqcache:l seqcycle:b",
    ),
    never("pg_sequences", "schemaname:t sequencename:t sequenceowner:t data_type:t last_value:l"),
    never(
        "pg_stat_activity",
        "datid:o datname:t pid:i usesysid:o usename:t application_name:t client_addr:t state:t \
         query:t backend_type:t",
    ),
    never("pg_stat_user_tables", "relid:o schemaname:t relname:t n_live_tup:l n_dead_tup:l"),
    never("pg_statio_user_tables", "relid:o schemaname:t relname:t heap_blks_read:l"),
    never(
        "pg_statistic_ext",
        "oid:o stxrelid:o stxname:t stxnamespace:o stxowner:o stxstattarget:i stxkeys:t stxkind:t \
         stxexprs:t",
    ),
    never("pg_stats", "schemaname:t tablename:t attname:t null_frac:f n_distinct:f"),
    never("pg_subscription", "oid:o subdbid:o subname:t subowner:o subenabled:b"),
    never(
        "pg_trigger",
        "oid:o tgrelid:o tgparentid:o tgname:t tgfoid:o tgtype:s tgenabled:t tgisinternal:b \
         tgconstrrelid:o tgconstrindid:o tgconstraint:o tgdeferrable:b tginitdeferred:b tgnargs:s",
    ),
    never("pg_ts_config", "oid:o cfgname:t cfgnamespace:o cfgowner:o"),
    never("pg_ts_dict", "oid:o dictname:t dictnamespace:o dictowner:o"),
    never("pg_user_mapping", "oid:o umuser:o umserver:o umoptions:t"),
];

/// The table of that name.
pub(super) fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// The number of a table of the catalog, which itself is not listed in it.
pub(super) fn number(name: &str) -> Option<usize> {
    TABLES.iter().position(|table| table.name == name).map(|place| 1_000 + place)
}

pub(super) fn is_table(name: &str) -> bool {
    find(name).is_some()
}

/// Whether it is a table in which there is never a row.
pub(super) fn is_never_filled(name: &str) -> bool {
    find(name).is_some_and(|table| !table.is_filled)
}

/// The settings that are told by SQL.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("default_transaction_isolation", "repeatable read"),
    ("extra_float_digits", "1"),
    ("is_superuser", "off"),
    ("lc_collate", "C"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("search_path", "public"),
    ("server_encoding", "UTF8"),
    ("server_version", "16.0"),
    ("server_version_num", "160000"),
    ("standard_conforming_strings", "on"),
    ("TimeZone", "UTC"),
    ("transaction_isolation", "repeatable read"),
    ("transaction_read_only", "on"),
];

pub(super) fn setting(name: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// Whether a column of the catalog holds lists, of which none has anything in it.
pub(super) fn is_list(column: &str) -> bool {
    const LISTS: [&str; 14] = [
        "attacl",
        "attoptions",
        "confkey",
        "conkey",
        "datacl",
        "indkey",
        "nspacl",
        "polroles",
        "prattrs",
        "proacl",
        "relacl",
        "reloptions",
        "rolconfig",
        "stxkind",
    ];
    LISTS.contains(&column.to_ascii_lowercase().as_str())
}

/// What a function of the catalog answers that has nothing to tell, in SQL. Some are called so
/// elsewhere too, and are the catalog's only where the call `is_qualified`.
pub(super) fn answer(function: &str, is_qualified: bool) -> Option<&'static str> {
    const TRUE: [&str; 8] = [
        "pg_type_is_visible",
        "pg_function_is_visible",
        "pg_operator_is_visible",
        "pg_opclass_is_visible",
        "pg_collation_is_visible",
        "pg_conversion_is_visible",
        "pg_ts_config_is_visible",
        "pg_ts_dict_is_visible",
    ];
    const LISTS: [&str; 5] =
        ["array_length", "array_lower", "array_remove", "array_to_string", "array_upper"];
    const NULL: [&str; 22] = [
        "col_description",
        "obj_description",
        "pg_get_constraintdef",
        "pg_get_expr",
        "pg_get_function_arguments",
        "pg_get_function_identity_arguments",
        "pg_get_function_result",
        "pg_get_functiondef",
        "pg_get_indexdef",
        "pg_get_partition_constraintdef",
        "pg_get_partkeydef",
        "pg_get_ruledef",
        "pg_get_serial_sequence",
        "pg_get_statisticsobjdef",
        "pg_get_statisticsobjdef_columns",
        "pg_get_triggerdef",
        "pg_partition_ancestors",
        "pg_relation_is_publishable",
        "pg_stat_get_numscans",
        "pg_tablespace_location",
        "shobj_description",
        "to_regtype",
    ];
    const ZERO: [&str; 7] = [
        "pg_database_size",
        "pg_indexes_size",
        "pg_relation_size",
        "pg_stat_get_live_tuples",
        "pg_table_size",
        "pg_tablespace_size",
        "pg_total_relation_size",
    ];
    match function {
        "pg_get_userbyid" => Some("'tidemark'"),
        "pg_is_other_temp_schema" => Some("false"),
        "pg_size_pretty" => Some("'0 bytes'"),
        _ if TRUE.contains(&function) => Some("true"),
        _ if is_qualified && LISTS.contains(&function) => Some("CAST(NULL AS TEXT)"),
        _ if NULL.contains(&function) => Some("CAST(NULL AS TEXT)"),
        _ if ZERO.contains(&function) => Some("CAST(0 AS BIGINT)"),
        _ => None,
    }
}
