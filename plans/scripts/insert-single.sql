-- One row, as the builtin insert-single writes it. The plan's variable n is each client's own counter; ids are never
-- twice in a fleet of fewer than a million clients.
\set n :n + 1
\set id :n * 1000000 + :client_id + 1
INSERT INTO users (id, name, email) VALUES (:id, 'user ' || :id, 'user' || :id || '@example.com');
