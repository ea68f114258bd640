-- Values of the wrong type, and too large ones, where a code, its options or a vector is wanted.
SELECT tq_encode('[1,2]', 5);
SELECT tq_encode('[1,2]', x'00');
SELECT tq_encode('[1,2]', NULL) IS NULL;
SELECT tq_decode('a code');
SELECT tq_decode(7);
SELECT tq_dim(zeroblob(4 * 65536));
SELECT tq_dim(zeroblob(4 * 65537));
SELECT tq_norm(zeroblob(4 * 65537));
