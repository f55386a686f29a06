//! Where a logical block lies in a sealed file (FORMAT.md section 5): pure arithmetic.

pub(super) const BLOCK: usize = 4_096;
pub(super) const BLOCK_U64: u64 = BLOCK as u64;
/// Blocks of a group, each with an entry in the group's tag block.
pub(super) const GROUP_BLOCKS: usize = 64;
const GROUP: u64 = GROUP_BLOCKS as u64;
/// The root slots' physical blocks.
pub(super) const ROOT_SLOTS: [u64; 2] = [1, 2];
const FIRST_GROUP: u64 = 3;

/// Where in its block a byte lies.
#[allow(clippy::cast_possible_truncation, reason = "less than a block")]
pub(super) const fn within_block(offset: u64) -> usize {
    (offset % BLOCK_U64) as usize
}

/// The group and the index in it of a logical block other than 0.
#[allow(clippy::cast_possible_truncation, reason = "less than a group")]
pub(super) const fn group_of(logical: u64) -> (u64, usize) {
    ((logical - 1) / GROUP, ((logical - 1) % GROUP) as usize)
}

/// The physical block of a group's tag block.
pub(super) const fn tag_block(group: u64) -> u64 {
    FIRST_GROUP + group * (GROUP + 1)
}

/// The physical block of a logical block other than 0.
pub(super) const fn physical(logical: u64) -> u64 {
    let (group, index) = group_of(logical);
    tag_block(group) + 1 + index as u64
}

/// Physical blocks of a file of `logical` blocks.
pub(super) const fn physical_len(logical: u64) -> u64 {
    let grouped = logical.saturating_sub(1);
    FIRST_GROUP + grouped + grouped.div_ceil(GROUP)
}

/// Logical blocks of a file of so many bytes; `None` where no file has this length. A file of three blocks has
/// one logical block, or none while it is being created.
pub(super) const fn logical_len(bytes: u64) -> Option<u64> {
    if !bytes.is_multiple_of(BLOCK_U64) || bytes / BLOCK_U64 < FIRST_GROUP {
        return None;
    }
    let groups = (bytes / BLOCK_U64 - FIRST_GROUP) / (GROUP + 1);
    let rest = (bytes / BLOCK_U64 - FIRST_GROUP) % (GROUP + 1);
    match rest {
        0 => Some(1 + groups * GROUP),
        1 => None,
        _ => Some(1 + groups * GROUP + rest - 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_length_reads_back(logical in 1_u64..1 << 40) {
            prop_assert_eq!(logical_len(physical_len(logical) * BLOCK_U64), Some(logical));
        }

        #[test]
        fn blocks_lie_within_their_file_and_never_on_each_other(logical in 1_u64..1 << 40) {
            prop_assert!(physical(logical) < physical_len(logical + 1));
            prop_assert!(physical(logical + 1) > physical(logical));
            let (group, _) = group_of(logical);
            prop_assert!(tag_block(group) < physical(logical));
            prop_assert!(physical(logical) - tag_block(group) <= GROUP);
        }
    }

    #[test]
    fn a_tag_block_without_a_block_is_no_length() {
        assert_eq!(logical_len(4 * BLOCK_U64), None);
        assert_eq!(logical_len(5 * BLOCK_U64), Some(2));
        assert_eq!(logical_len(3 * BLOCK_U64), Some(1));
        assert_eq!(logical_len(3 * BLOCK_U64 + 1), None);
        assert_eq!(logical_len(0), None);
    }
}
