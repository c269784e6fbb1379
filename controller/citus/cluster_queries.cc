#include "controller/citus/cluster_queries.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/citus/sql_text.h"

namespace trunkload {
namespace {

// Active nodes n, and l, the group of the one that is asked. A coordinator need not be among them: then it
// holds no shards.
constexpr char kActiveNodes[] = R"sql(
     (SELECT nodeid, groupid, nodename || ':' || nodeport AS name, shouldhaveshards AS shards
      FROM pg_catalog.pg_dist_node WHERE isactive AND noderole = 'primary'
      UNION ALL
      SELECT 0, groupid, '', false FROM pg_catalog.pg_dist_local_group
      WHERE groupid NOT IN (SELECT groupid FROM pg_catalog.pg_dist_node WHERE isactive AND noderole = 'primary')) n,
     pg_catalog.pg_dist_local_group l)sql";
constexpr char kNodeOrder[] = "n.groupid <> l.groupid, n.groupid <> 0, n.nodeid";

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
  return absl::StrCat(R"sql(
SELECT pg_catalog.json_build_object('nodes', pg_catalog.json_agg(pg_catalog.json_build_object(
         'name', n.name, 'role', CASE n.groupid WHEN 0 THEN 'ROLE_COORDINATOR' ELSE 'ROLE_WORKER' END,
         'holds_shards', n.shards) ORDER BY )sql",
                      kNodeOrder, ")) FROM ", kActiveNodes);
}

std::string RelationsQuery(const ServerObjects& objects, const std::vector<std::string>& tables) {
  std::string wanted = "true";
  if (!tables.empty()) {
    wanted = absl::StrCat(
        "t.oid IN (SELECT coalesce(i.relid, c.oid) FROM (SELECT pg_catalog.to_regclass(x)::oid FROM "
        "pg_catalog.unnest(ARRAY[",
        absl::StrJoin(tables, ", ",
                      [](std::string* out, const std::string& table) { out->append(SqlLiteral(table)); }),
        "]::text[]) x) c(oid) LEFT JOIN LATERAL pg_catalog.pg_partition_tree(c.oid::regclass) i ON true)");
  }
  // Tables that Citus does not know are on the server that is asked. It hides its shards from those who look.
  std::string own = absl::StrCat(R"sql(
  SELECT t.oid::regclass::text AS "table", 0::bigint AS shard, 0::bigint AS node, NULL::int AS hash_min, NULL::int AS hash_max,
         pg_catalog.quote_ident(s.nspname) || '.' || pg_catalog.quote_ident(t.relname) AS name, ''::text AS distribution_column,
         false AS reference
  FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace s ON s.oid = t.relnamespace
  WHERE t.relkind = 'r' AND t.relpersistence <> 't' AND s.nspname NOT LIKE 'pg\_%'
    AND s.nspname NOT IN ('information_schema', 'citus', 'citus_internal', 'columnar', 'columnar_internal') AND )sql",
                                 wanted);
  if (!objects.citus) return RowsAs("relations", absl::StrCat(own, " ORDER BY 1 LIMIT ", kMostRelations));
  absl::StrAppend(&own, " AND t.oid NOT IN (SELECT logicalrelid FROM pg_catalog.pg_dist_partition)");
  const std::string shards = absl::StrCat(R"sql(
  SELECT t.oid::regclass::text, s.shardid, n.place, s.shardminvalue::int, s.shardmaxvalue::int,
         pg_catalog.shard_name(t.oid::regclass, s.shardid),
         coalesce(pg_catalog.column_to_column_name(p.logicalrelid, p.partkey), ''),
         p.partmethod = 'n' AND p.repmodel = 't'
  FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class t ON t.oid = p.logicalrelid
       JOIN pg_catalog.pg_dist_shard s ON s.logicalrelid = p.logicalrelid
       JOIN pg_catalog.pg_dist_placement a ON a.shardid = s.shardid
       JOIN (SELECT n.groupid, pg_catalog.row_number() OVER (ORDER BY )sql",
                                          kNodeOrder, R"sql() - 1
             FROM )sql",
                                          kActiveNodes, R"sql() n(groupid, place) ON n.groupid = a.groupid
  WHERE t.relkind = 'r' AND p.partmethod IN ('h', 'n') AND )sql",
                                          wanted);
  return RowsAs("relations",
                absl::StrCat(own, " UNION ALL ", shards, " ORDER BY 1, 2, 3 LIMIT ", kMostRelations));
}

std::string KeysQuery(const std::vector<v1::Relation>& relations, const std::vector<int64_t>& keys) {
  std::set<std::string> tables;
  for (const v1::Relation& relation : relations) {
    if (relation.has_hash_min()) tables.insert(SqlLiteral(relation.table()));
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

std::string FaultsQuery() {
  return RowsAs("faults", absl::StrCat(R"sql(
  SELECT DISTINCT n.place AS node, CASE WHEN h.result IS NULL THEN 'is not reached by the node that was asked'
                                        ELSE 'does not reach ' || h.to_nodename || ':' || h.to_nodeport END AS text
  FROM pg_catalog.citus_check_cluster_node_health() h
       JOIN (SELECT n.name, pg_catalog.row_number() OVER (ORDER BY )sql",
                                       kNodeOrder, ") - 1 AS place FROM ", kActiveNodes,
                                       R"sql() n ON n.name = h.from_nodename || ':' || h.from_nodeport
  WHERE h.result IS NOT TRUE ORDER BY 1)sql"));
}

std::string MovesQuery() {
  return RowsAs("moves", R"sql(
  SELECT p.table_name::text AS "table", p.shardid AS shard, p.shard_size AS bytes,
         p.sourcename || ':' || p.sourceport AS "from", p.targetname || ':' || p.targetport AS "to"
  FROM pg_catalog.get_rebalance_table_shards_plan() p)sql");
}

}  // namespace trunkload
