#include "controller/citus/node_queries.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/util/json_util.h"

namespace trunkload {
namespace {

// As far as connections, memory, durability and Citus' executor go.
constexpr const char* kSettings[] = {
    "citus.distributed_deadlock_detection_factor",
    "citus.enable_stat_counters",
    "citus.executor_slow_start_interval",
    "citus.local_shared_pool_size",
    "citus.max_adaptive_executor_pool_size",
    "citus.max_cached_connection_lifetime",
    "citus.max_cached_conns_per_worker",
    "citus.max_client_connections",
    "citus.max_shared_pool_size",
    "citus.multi_shard_modify_mode",
    "citus.node_conninfo",
    "citus.recover_2pc_interval",
    "citus.shard_count",
    "citus.shard_replication_factor",
    "citus.stat_statements_track",
    "citus.stat_tenants_track",
    "fsync",
    "full_page_writes",
    "max_connections",
    "max_prepared_transactions",
    "max_wal_size",
    "server_version",
    "shared_buffers",
    "shared_preload_libraries",
    "synchronous_commit",
    "wal_level",
    "work_mem",
};

std::string Literal(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}

template <typename Message>
absl::StatusOr<Message> Parse(absl::string_view json) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), &message, options);
  if (status.ok()) return message;
  return absl::InvalidArgumentError(
      absl::StrCat("the server's answer can't be read: ", std::string(status.message())));
}

// Those of the node, by name, with their places in `relations`.
std::string NodeRelations(const std::vector<v1::Relation>& relations, uint32_t node) {
  std::vector<std::string> names;
  std::vector<size_t> places;
  for (size_t i = 0; i < relations.size(); ++i) {
    if (relations[i].node() != node) continue;
    names.push_back(Literal(relations[i].name()));
    places.push_back(i);
  }
  return absl::StrCat("ROWS FROM (pg_catalog.unnest(ARRAY[", absl::StrJoin(names, ", "),
                      "]::text[]), pg_catalog.unnest(ARRAY[", absl::StrJoin(places, ", "), "]::int[]))");
}

}  // namespace

std::string ServerObjectsQuery() {
  return "SELECT pg_catalog.concat_ws(' ', pg_catalog.to_regclass('pg_catalog.pg_dist_node') IS NOT NULL "
         "AND EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus'), "
         "pg_catalog.to_regclass('pg_catalog.citus_stat_counters') IS NOT NULL)";
}

absl::StatusOr<ServerObjects> ParseServerObjects(absl::string_view text) {
  const bool bits = text.size() == 3 && (text[0] == 't' || text[0] == 'f') && text[1] == ' ' &&
                    (text[2] == 't' || text[2] == 'f');
  if (!bits) return absl::InvalidArgumentError("the server does not say what it has");
  return ServerObjects{.citus = text[0] == 't', .counters = text[2] == 't'};
}

std::string BackendQuery() {
  return "SELECT pg_catalog.pg_backend_pid() || ' ' || "
         "coalesce(pg_catalog.host(pg_catalog.inet_server_addr()) || ':' "
         "|| pg_catalog.inet_server_port(), '')";
}

std::string NodesQuery(const ServerObjects& objects) {
  if (!objects.citus) return R"(SELECT '{"nodes": [{"role": "ROLE_SERVER", "holds_shards": true}]}')";
  // A coordinator need not be among its nodes: then it holds no shards.
  return R"sql(
SELECT pg_catalog.json_build_object('nodes', pg_catalog.json_agg(pg_catalog.json_build_object(
         'name', n.name, 'role', CASE n.groupid WHEN 0 THEN 'ROLE_COORDINATOR' ELSE 'ROLE_WORKER' END,
         'holds_shards', n.shards) ORDER BY n.groupid <> l.groupid, n.groupid <> 0, n.nodeid))
FROM (SELECT nodeid, groupid, nodename || ':' || nodeport AS name, shouldhaveshards AS shards
      FROM pg_catalog.pg_dist_node WHERE isactive AND noderole = 'primary'
      UNION ALL
      SELECT 0, groupid, '', false FROM pg_catalog.pg_dist_local_group
      WHERE groupid NOT IN (SELECT groupid FROM pg_catalog.pg_dist_node WHERE isactive AND noderole = 'primary')) n,
     pg_catalog.pg_dist_local_group l)sql";
}

std::string RelationsQuery(const ServerObjects& objects, const std::vector<std::string>& tables) {
  std::string wanted = "true";
  if (!tables.empty()) {
    wanted = absl::StrCat(
        "t.oid IN (SELECT coalesce(i.relid, c.oid) FROM (SELECT pg_catalog.to_regclass(x)::oid FROM "
        "pg_catalog.unnest(ARRAY[",
        absl::StrJoin(tables, ", ",
                      [](std::string* out, const std::string& table) { out->append(Literal(table)); }),
        "]::text[]) x) c(oid) LEFT JOIN LATERAL pg_catalog.pg_partition_tree(c.oid::regclass) i ON true)");
  }
  // Tables that Citus does not know are on the server that is asked. It hides its shards from those who look.
  std::string own = absl::StrCat(R"sql(
  SELECT t.oid::regclass::text AS "table", 0::bigint AS shard, 0::bigint AS node, NULL::int AS hash_min, NULL::int AS hash_max,
         pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(t.relname) AS name, ''::text AS distribution_column,
         false AS reference, 0 AS colocation
  FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace s ON s.oid = t.relnamespace
  WHERE t.relkind = 'r' AND t.relpersistence <> 't' AND s.nspname NOT LIKE 'pg\_%'
    AND s.nspname NOT IN ('information_schema', 'citus', 'citus_internal', 'columnar', 'columnar_internal') AND )sql",
                                 wanted);
  if (!objects.citus) {
    return absl::StrCat(
        "SELECT pg_catalog.json_build_object('relations', "
        "coalesce(pg_catalog.json_agg(pg_catalog.row_to_json(r)), "
        "'[]'::json)) FROM (",
        own, " ORDER BY 1 LIMIT ", kMostRelations, ") r");
  }
  absl::StrAppend(&own, " AND t.oid NOT IN (SELECT logicalrelid FROM pg_catalog.pg_dist_partition)");
  const std::string shards = absl::StrCat(R"sql(
  SELECT t.oid::regclass::text, s.shardid, n.place, s.shardminvalue::int, s.shardmaxvalue::int,
         pg_catalog.shard_name(t.oid::regclass, s.shardid),
         coalesce(pg_catalog.column_to_column_name(p.logicalrelid, p.partkey), ''),
         p.partmethod = 'n' AND p.repmodel = 't', p.colocationid
  FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class t ON t.oid = p.logicalrelid
       JOIN pg_catalog.pg_dist_shard s ON s.logicalrelid = p.logicalrelid
       JOIN pg_catalog.pg_dist_placement a ON a.shardid = s.shardid
       JOIN (SELECT m.groupid, pg_catalog.row_number() OVER (ORDER BY m.groupid <> l.groupid, m.groupid <> 0, m.nodeid) - 1
             FROM (SELECT groupid, nodeid FROM pg_catalog.pg_dist_node WHERE isactive AND noderole = 'primary'
                   UNION ALL
                   SELECT groupid, 0 FROM pg_catalog.pg_dist_local_group WHERE groupid NOT IN
                     (SELECT groupid FROM pg_catalog.pg_dist_node WHERE isactive AND noderole = 'primary')) m,
                  pg_catalog.pg_dist_local_group l) n(groupid, place) ON n.groupid = a.groupid
  WHERE t.relkind = 'r' AND p.partmethod IN ('h', 'n') AND )sql",
                                          wanted);
  return absl::StrCat(
      "SELECT pg_catalog.json_build_object('relations', "
      "coalesce(pg_catalog.json_agg(pg_catalog.row_to_json(r)), "
      "'[]'::json)) FROM (",
      own, " UNION ALL ", shards, " ORDER BY 1, 2, 3 LIMIT ", kMostRelations, ") r");
}

std::string SettingsQuery() {
  std::vector<std::string> names;
  for (const char* name : kSettings) names.push_back(Literal(name));
  // The view leaves out what the role may not see.
  return absl::StrCat(
      "SELECT pg_catalog.json_build_object('settings', pg_catalog.json_object_agg(name, "
      "pg_catalog.current_setting(name))) FROM pg_catalog.pg_settings WHERE name IN (",
      absl::StrJoin(names, ", "), ")");
}

std::string SampleQuery(const ServerObjects& objects, const std::vector<v1::Relation>& relations,
                        uint32_t node) {
  std::string citus = "NULL::json";
  if (objects.counters) {
    citus = R"sql((SELECT pg_catalog.json_build_object(
      'single_shard', c.query_execution_single_shard, 'multi_shard', c.query_execution_multi_shard,
      'connections_made', c.connection_establishment_succeeded, 'connections_reused', c.connection_reused,
      'connections_failed', c.connection_establishment_failed)
    FROM pg_catalog.citus_stat_counters c
    WHERE c.name = pg_catalog.current_database()
      AND pg_catalog.current_setting('citus.enable_stat_counters') = 'on'))sql";
  }
  std::string of_relations = "'[]'::json";
  if (!relations.empty()) {
    of_relations = absl::StrCat(
        R"sql((SELECT coalesce(pg_catalog.json_agg(pg_catalog.row_to_json(r)), '[]'::json) FROM (
    SELECT n.place AS relation, pg_catalog.pg_stat_get_tuples_inserted(c) AS rows_inserted,
           pg_catalog.pg_stat_get_tuples_updated(c) AS rows_updated, pg_catalog.pg_stat_get_tuples_deleted(c) AS rows_deleted,
           pg_catalog.pg_stat_get_numscans(c) + coalesce((SELECT pg_catalog.sum(pg_catalog.pg_stat_get_numscans(indexrelid))
             FROM pg_catalog.pg_index WHERE indrelid = c), 0)::bigint AS scans,
           pg_catalog.pg_total_relation_size(c) AS bytes
    FROM )sql",
        NodeRelations(relations, node),
        R"sql( AS n(name, place), LATERAL pg_catalog.to_regclass(n.name) c WHERE c IS NOT NULL) r))sql");
  }
  return absl::StrCat(
      R"sql(SELECT pg_catalog.json_build_object('sample', pg_catalog.row_to_json(s), 'relations', )sql",
      of_relations, R"sql() FROM (
  SELECT d.xact_commit AS committed, d.xact_rollback AS rolled_back, d.tup_inserted AS rows_inserted,
         d.tup_updated AS rows_updated, d.tup_deleted AS rows_deleted, d.tup_returned AS rows_read,
         d.blks_hit AS blocks_hit, d.blks_read AS blocks_read, d.temp_bytes AS temporary_bytes, d.deadlocks,
         pg_catalog.pg_wal_lsn_diff(w.lsn, '0/0')::bigint AS wal_bytes, a.*,
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts
          WHERE gid LIKE 'citus\_%' AND database = pg_catalog.current_database()) AS prepared_transactions,
         (SELECT greatest(coalesce(pg_catalog.max(pg_catalog.pg_wal_lsn_diff(w.lsn, replay_lsn)), 0), 0)::bigint
          FROM pg_catalog.pg_stat_replication) AS replication_lag_bytes,
         )sql",
      citus, R"sql( AS citus
  FROM pg_catalog.pg_stat_database d,
       (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                    ELSE pg_catalog.pg_current_wal_lsn() END) w(lsn),
       (SELECT pg_catalog.count(*) FILTER (WHERE here) AS connections,
               pg_catalog.count(*) FILTER (WHERE here AND state = 'active') AS active,
               pg_catalog.count(*) FILTER (WHERE here AND state LIKE 'idle in transaction%') AS idle_in_transaction,
               pg_catalog.count(*) FILTER (WHERE here AND wait_event_type = 'Lock') AS waiting_for_locks,
               pg_catalog.count(*) FILTER (WHERE here AND application_name LIKE ')sql",
      kAgentName, R"sql(%') AS from_agents,
               pg_catalog.count(*) FILTER (WHERE here AND application_name LIKE 'citus\_%') AS from_nodes,
               pg_catalog.count(*) AS all_connections
        FROM (SELECT *, datname = pg_catalog.current_database() AS here FROM pg_catalog.pg_stat_activity
              WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
                AND application_name IS DISTINCT FROM ')sql",
      kObserverName, R"sql('
                AND coalesce(application_name, '') NOT LIKE 'citus\_run\_command%') b) a
  WHERE d.datname = pg_catalog.current_database()) s)sql");
}

std::string ThroughCoordinator(const v1::DatabaseNode& node, const std::string& query) {
  const size_t colon = node.name().rfind(':');
  // The function behind run_command_on_workers, which would ask all of them.
  return absl::StrCat("SELECT result FROM pg_catalog.master_run_on_worker(ARRAY[",
                      Literal(node.name().substr(0, colon)), "]::text[], ARRAY[",
                      colon == std::string::npos ? "0" : node.name().substr(colon + 1), "]::int[], ARRAY[",
                      Literal(query), "]::text[], false) WHERE success");
}

std::string CountQuery(const std::vector<v1::Relation>& relations, uint32_t node) {
  std::vector<std::string> counts;
  for (size_t i = 0; i < relations.size(); ++i) {
    if (relations[i].node() != node) continue;
    counts.push_back(absl::StrCat("SELECT ", i, ", pg_catalog.count(*) FROM ", relations[i].name()));
  }
  if (counts.empty()) return "SELECT '{}'";
  return absl::StrCat(
      "SELECT pg_catalog.json_build_object('rows', pg_catalog.json_object_agg(n.place, n.rows)) FROM (",
      absl::StrJoin(counts, " UNION ALL "), ") n(place, rows)");
}

std::string KeysQuery(const std::vector<v1::Relation>& relations, const std::vector<int64_t>& keys) {
  std::set<std::string> tables;
  for (const v1::Relation& relation : relations) {
    if (relation.has_hash_min()) tables.insert(Literal(relation.table()));
  }
  if (tables.empty() || keys.empty()) return "SELECT '{}'";
  // Of a column of another type a whole number is no key.
  return absl::StrCat(
      "SELECT pg_catalog.json_build_object('places', "
      "pg_catalog.json_agg(pg_catalog.json_build_object('table', t.name, "
      "'key', k, 'shard', pg_catalog.get_shard_id_for_distribution_column(t.name::regclass, k)))) FROM "
      "pg_catalog.unnest(ARRAY[",
      absl::StrJoin(tables, ", "), "]::text[]) t(name), pg_catalog.unnest(ARRAY[", absl::StrJoin(keys, ", "),
      "]::bigint[]) k, pg_catalog.pg_dist_partition p, pg_catalog.pg_attribute a WHERE p.logicalrelid = "
      "t.name::regclass "
      "AND a.attrelid = p.logicalrelid AND a.attname = pg_catalog.column_to_column_name(p.logicalrelid, "
      "p.partkey) "
      "AND (a.atttypid = 'pg_catalog.int8'::regtype OR a.atttypid = 'pg_catalog.int4'::regtype AND k BETWEEN "
      "-2147483648 AND 2147483647)");
}

absl::StatusOr<v1::Observed::Nodes> ParseNodes(absl::string_view json) {
  return Parse<v1::Observed::Nodes>(json);
}

absl::StatusOr<v1::Observed::Sample> ParseSample(absl::string_view json) {
  return Parse<v1::Observed::Sample>(json);
}

absl::StatusOr<v1::Observed::Rows> ParseRows(absl::string_view json) {
  return Parse<v1::Observed::Rows>(json);
}

absl::StatusOr<v1::Observed::Keys> ParseKeys(absl::string_view json) {
  return Parse<v1::Observed::Keys>(json);
}

absl::StatusOr<v1::DatabaseNode> ParseSettings(absl::string_view json) {
  return Parse<v1::DatabaseNode>(json);
}

}  // namespace trunkload
