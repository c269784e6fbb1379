#include "controller/citus/tracked_work.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace trunkload {
namespace {

constexpr size_t kMost = 20;

// The first ones by `more`, into a list of the result.
template <typename Entry, typename More>
void AddFirst(std::vector<Entry> entries, More more, google::protobuf::RepeatedPtrField<Entry>& into) {
  std::stable_sort(entries.begin(), entries.end(), more);
  if (entries.size() > kMost) entries.resize(kMost);
  for (Entry& entry : entries) *into.Add() = std::move(entry);
}

void AddStatements(const v1::Observed::Tracked& before, const v1::Observed::Tracked& after,
                   v1::NodeWork& result) {
  std::map<std::string, v1::StatementTime> was;
  for (const v1::StatementTime& statement : before.statements()) was[statement.query()] = statement;
  std::vector<v1::StatementTime> entries;
  for (v1::StatementTime now : after.statements()) {
    if (const auto found = was.find(now.query());
        found != was.end() && found->second.calls() <= now.calls()) {
      now.set_calls(now.calls() - found->second.calls());
      now.set_rows(now.rows() - std::min(now.rows(), found->second.rows()));
      now.set_total_us(std::max(0.0, now.total_us() - found->second.total_us()));
    }
    if (now.calls() > 0) entries.push_back(std::move(now));
  }
  AddFirst(
      std::move(entries),
      [](const v1::StatementTime& a, const v1::StatementTime& b) { return a.total_us() > b.total_us(); },
      *result.mutable_statements());
}

void AddRoutes(const v1::Observed::Tracked& before, const v1::Observed::Tracked& after,
               v1::NodeWork& result) {
  std::map<std::pair<std::string, std::string>, uint64_t> was;
  for (const v1::StatementRoute& route : before.routes())
    was[{route.query(), route.executor()}] = route.calls();
  std::vector<v1::StatementRoute> entries;
  for (v1::StatementRoute now : after.routes()) {
    const auto found = was.find({now.query(), now.executor()});
    if (found != was.end() && found->second <= now.calls()) now.set_calls(now.calls() - found->second);
    if (now.calls() > 0) entries.push_back(std::move(now));
  }
  AddFirst(
      std::move(entries),
      [](const v1::StatementRoute& a, const v1::StatementRoute& b) { return a.calls() > b.calls(); },
      *result.mutable_routes());
}

}  // namespace

void AddTrackedWork(const v1::Observed::Tracked& before, const v1::Observed::Tracked& after,
                    v1::NodeWork& result) {
  AddStatements(before, after, result);
  AddRoutes(before, after, result);
  AddFirst<v1::TenantUse>(
      {after.tenants().begin(), after.tenants().end()},
      [](const v1::TenantUse& a, const v1::TenantUse& b) { return a.cpu_s() > b.cpu_s(); },
      *result.mutable_tenants());
}

}  // namespace trunkload
