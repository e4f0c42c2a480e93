"""Compiled kernels on runs of sorted keys and on hash sets of keys.

Keys are rows of an (n, n_words) array of non-negative int64, compared word by word.  A hash set is a table of
keys of power-of-two length (-1: empty slot), open addressing with linear probing, filled to at most one half.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import Bools, Bools2, Floats, Ints, Ints2, kernel

FAR = 2**61  # distance of keys that differ in a leading word


@kernel(inline="always")
def _compare(a, i, b, j):
    """Sign of ``a[i] - b[j]`` in the order of keys."""
    for w in range(a.shape[1]):
        if a[i, w] < b[j, w]:
            return -1
        if a[i, w] > b[j, w]:
            return 1
    return 0


@kernel()
def locate(keys: Ints2, starts: Ints, queries: Ints2, found: Ints):
    """Write the index of each of `queries` in the runs (keys, starts), -1 where absent: binary search over the runs."""
    last = keys.shape[1] - 1
    for q in range(len(queries)):
        low = 0
        high = len(keys)
        while low < high:  # the first run that begins after the query
            middle = (low + high) // 2
            if _compare(keys, middle, queries, q) <= 0:
                low = middle + 1
            else:
                high = middle
        found[q] = -1
        if low > 0:
            run = low - 1
            same = True
            for w in range(last):
                same = same and keys[run, w] == queries[q, w]
            offset = queries[q, last] - keys[run, last]
            if same and offset < starts[run + 1] - starts[run]:
                found[q] = starts[run] + offset


@kernel()
def expand_runs(keys: Ints2, starts: Ints, expanded: Ints2):
    """Write the keys of all states, (n, n_words)."""
    last = keys.shape[1] - 1
    for r in range(len(keys)):
        for i in range(starts[r], starts[r + 1]):
            for w in range(last):
                expanded[i, w] = keys[r, w]
            expanded[i, last] = keys[r, last] + i - starts[r]


@kernel()
def select(keys: Ints2, starts: Ints, kept: Bools):
    """Return the runs of the states where `kept` is true: first keys and lengths."""
    count = 0
    for r in range(len(keys)):
        for i in range(starts[r], starts[r + 1]):
            if kept[i] and (i == starts[r] or not kept[i - 1]):
                count += 1
    last = keys.shape[1] - 1
    chosen = np.empty((count, keys.shape[1]), dtype=np.int64)
    lengths = np.zeros(count, dtype=np.int64)
    k = -1
    for r in range(len(keys)):
        for i in range(starts[r], starts[r + 1]):
            if kept[i]:
                if i == starts[r] or not kept[i - 1]:
                    k += 1
                    for w in range(last):
                        chosen[k, w] = keys[r, w]
                    chosen[k, last] = keys[r, last] + i - starts[r]
                lengths[k] += 1
    return chosen, lengths


@kernel()
def unite(keys_a: Ints2, starts_a: Ints, keys_b: Ints2, starts_b: Ints):
    """Return the runs of the states of either set, touching runs joined: first keys and lengths."""
    last = keys_a.shape[1] - 1
    keys = np.empty((len(keys_a) + len(keys_b), last + 1), dtype=np.int64)
    lengths = np.empty(len(keys), dtype=np.int64)
    i, j, k = 0, 0, -1
    while i < len(keys_a) or j < len(keys_b):
        if j == len(keys_b) or (i < len(keys_a) and _compare(keys_a, i, keys_b, j) <= 0):
            source, row, length = keys_a, i, starts_a[i + 1] - starts_a[i]
            i += 1
        else:
            source, row, length = keys_b, j, starts_b[j + 1] - starts_b[j]
            j += 1
        joined = k >= 0
        for w in range(last):
            joined = joined and keys[k, w] == source[row, w]
        if joined and source[row, last] <= keys[k, last] + lengths[k]:
            lengths[k] = max(lengths[k], source[row, last] + length - keys[k, last])
        else:
            k += 1
            for w in range(last + 1):
                keys[k, w] = source[row, w]
            lengths[k] = length
    return keys[: k + 1], lengths[: k + 1]


@kernel(inline="always")
def _distance(a, i, b, j):
    """Return ``a[i] - b[j]`` of keys that differ in the last word only; beyond reach, with its sign, for others."""
    last = a.shape[1] - 1
    for w in range(last):
        if a[i, w] != b[j, w]:
            return FAR if a[i, w] > b[j, w] else -FAR
    return a[i, last] - b[j, last]


@kernel()
def carry(keys_a: Ints2, starts_a: Ints, values: Floats, keys_b: Ints2, starts_b: Ints, carried: Floats):
    """Copy the values (n_a,) of states of set a to their places in set b: one pass over the runs of both."""
    i = 0
    for j in range(len(keys_b)):
        length = starts_b[j + 1] - starts_b[j]
        while i < len(keys_a) and _distance(keys_a, i, keys_b, j) + starts_a[i + 1] - starts_a[i] <= 0:
            i += 1
        k = i
        while k < len(keys_a):
            begin = _distance(keys_a, k, keys_b, j)
            if begin >= length:
                break
            low, high = max(0, begin), min(length, begin + starts_a[k + 1] - starts_a[k])
            source, target = starts_a[k] - begin, starts_b[j]
            for x in range(low, high):
                carried[target + x] = values[source + x]
            k += 1


@kernel(inline="always")
def _enter(table, keys, i, shifts, r):
    """Enter ``keys[i] + shifts[r]``; return its slot if it is new, else -1.

    The search starts where the low three bits of the last word are kept as they are, so that one cache line
    holds eight neighbours along the last species, and the rest is mixed by multiplication (Fibonacci hashing).
    """
    n_words = table.shape[1]
    last = keys[i, n_words - 1] + shifts[r, n_words - 1]
    h = np.uint64(last >> 3)
    for w in range(n_words - 1):
        h = (h ^ np.uint64(keys[i, w] + shifts[r, w])) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(32)
    h *= np.uint64(0x9E3779B97F4A7C15)
    h ^= h >> np.uint64(32)
    mask = np.uint64(len(table) - 1)
    slot = ((h << np.uint64(3)) | np.uint64(last & 7)) & mask
    while table[slot, 0] >= 0:
        if table[slot, n_words - 1] == last:
            same = True
            for w in range(n_words - 1):
                same = same and table[slot, w] == keys[i, w] + shifts[r, w]
            if same:
                return -1
        slot = (slot + np.uint64(1)) & mask
    for w in range(n_words):
        table[slot, w] = keys[i, w] + shifts[r, w]
    return np.int64(slot)


@kernel()
def insert_all(table: Ints2, keys: Ints2):
    """Enter `keys` (n, n_words), rows whose first word is negative excepted; return how many are new."""
    unmoved = np.zeros((1, table.shape[1]), dtype=np.int64)
    fresh = 0
    for i in range(len(keys)):
        if keys[i, 0] >= 0 and _enter(table, keys, i, unmoved, 0) >= 0:
            fresh += 1
    return fresh


@kernel()
def expand_words(table: Ints, frontier: Ints, enabled: Bools2, shifts: Ints, fresh: Ints):
    """`expand` for keys of one word: table, frontier, shifts and fresh are flat."""
    mask = np.uint64(len(table) - 1)
    count = 0
    for i in range(len(frontier)):
        for r in range(len(shifts)):
            if enabled[r, i]:
                key = frontier[i] + shifts[r]
                h = np.uint64(key >> 3) * np.uint64(0x9E3779B97F4A7C15)
                h ^= h >> np.uint64(32)
                slot = ((h << np.uint64(3)) | np.uint64(key & 7)) & mask
                while table[slot] >= 0 and table[slot] != key:
                    slot = (slot + np.uint64(1)) & mask
                if table[slot] < 0:
                    table[slot] = key
                    fresh[count] = key
                    count += 1
    return count


@kernel()
def expand(table: Ints2, frontier: Ints2, enabled: Bools2, shifts: Ints2, fresh: Ints2):
    """Enter the targets of every enabled jump out of `frontier`; write the new ones to `fresh`, return how many.

    enabled is (n_reactions, len(frontier)) bool, shifts is (n_reactions, n_words).
    """
    count = 0
    for i in range(len(frontier)):
        for r in range(len(shifts)):
            if enabled[r, i]:
                slot = _enter(table, frontier, i, shifts, r)
                if slot >= 0:
                    for w in range(table.shape[1]):
                        fresh[count, w] = table[slot, w]
                    count += 1
    return count
