-- Ten rows in one statement, as the builtin insert-batch writes them. Each client's ids begin at a multiple of 10^12 of
-- its own; the plan's variable n counts its transactions.
\set n :n + 1
\set id (:client_id + 1) * 1000000000000 + :n * 10
INSERT INTO users (id, name, email) VALUES
  (:id::bigint + 0, 'user ' || (:id::bigint + 0), 'user' || (:id::bigint + 0) || '@example.com'),
  (:id::bigint + 1, 'user ' || (:id::bigint + 1), 'user' || (:id::bigint + 1) || '@example.com'),
  (:id::bigint + 2, 'user ' || (:id::bigint + 2), 'user' || (:id::bigint + 2) || '@example.com'),
  (:id::bigint + 3, 'user ' || (:id::bigint + 3), 'user' || (:id::bigint + 3) || '@example.com'),
  (:id::bigint + 4, 'user ' || (:id::bigint + 4), 'user' || (:id::bigint + 4) || '@example.com'),
  (:id::bigint + 5, 'user ' || (:id::bigint + 5), 'user' || (:id::bigint + 5) || '@example.com'),
  (:id::bigint + 6, 'user ' || (:id::bigint + 6), 'user' || (:id::bigint + 6) || '@example.com'),
  (:id::bigint + 7, 'user ' || (:id::bigint + 7), 'user' || (:id::bigint + 7) || '@example.com'),
  (:id::bigint + 8, 'user ' || (:id::bigint + 8), 'user' || (:id::bigint + 8) || '@example.com'),
  (:id::bigint + 9, 'user ' || (:id::bigint + 9), 'user' || (:id::bigint + 9) || '@example.com');
