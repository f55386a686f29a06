//! Promise: the store answers as the reference model does, whatever is done in whatever order.

use proptest::prelude::*;
use strongroom::simulation::SimDisk;
use strongroom_tests::{Operation, World};

fn operation() -> impl Strategy<Value = Operation> {
    let length = prop_oneof![4 => 0..200_u16, 1 => 3_000..9_000_u16, 1 => Just(u16::MAX)];
    let puts = prop::collection::vec((any::<u8>(), any::<u8>(), length), 0..8);
    prop_oneof![
        8 => (any::<u8>(), puts.clone(), prop::collection::vec(any::<(u8, u8)>(), 0..4), any::<bool>())
            .prop_map(|(tenant, puts, erases, buffered)| Operation::Write { tenant, puts, erases, buffered }),
        3 => any::<(u8, u8, u8)>()
            .prop_map(|(tenant, collection, key)| Operation::Erase { tenant, collection, key }),
        3 => any::<(u8, u8, u8)>()
            .prop_map(|(tenant, collection, key)| Operation::Remove { tenant, collection, key }),
        3 => any::<(u8, u8, u8)>()
            .prop_map(|(tenant, collection, key)| Operation::Restore { tenant, collection, key }),
        1 => any::<(u8, u8, u8, u8)>().prop_map(|(tenant, collection, from, to)| {
            Operation::RemoveRange { tenant, collection, from, to }
        }),
        1 => any::<(u8, u8, u8, u8)>().prop_map(|(tenant, collection, from, to)| {
            Operation::EraseRange { tenant, collection, from, to }
        }),
        2 => (any::<u8>(), prop::collection::vec(puts, 0..6))
            .prop_map(|(tenant, batches)| Operation::Submit { tenant, batches }),
        4 => any::<(u8, u8, u8, u8, u16)>().prop_map(|(tenant, collection, key, length, ttl_ms)| {
            Operation::PutFor { tenant, collection, key, length: length.into(), ttl_ms }
        }),
        3 => (-3_000_i16..20_000).prop_map(|ms| Operation::Wait { ms }),
        1 => Just(Operation::Sweep),
        4 => any::<(u8, u8, u8, u8, u8)>().prop_map(|(tenant, collection, key, length, condition)| {
            Operation::PutIf { tenant, collection, key, length: length.into(), condition }
        }),
        1 => any::<u8>().prop_map(|tenant| Operation::Checkpoint { tenant }),
        1 => any::<(u8, u8, u8, u8)>().prop_map(|(tenant, collection, key, chunks)| {
            Operation::PutLarge { tenant, collection, key, chunks }
        }),
        1 => Just(Operation::Tick),
        4 => any::<(u8, u8, u8)>().prop_map(|(tenant, collection, key)| Operation::Get { tenant, collection, key }),
        4 => any::<(u8, u8, u8, u8, bool)>().prop_map(|(tenant, collection, from, limit, reverse)| {
            Operation::Scan { tenant, collection, from, limit, reverse }
        }),
        4 => any::<(u8, u8, u8)>()
            .prop_map(|(tenant, collection, limit)| Operation::Page { tenant, collection, limit }),
        3 => any::<(u8, u8, u8, bool)>().prop_map(|(tenant, collection, limit, reverse)| {
            Operation::FindPage { tenant, collection, limit, reverse }
        }),
        3 => any::<(u8, u8, u8, bool)>().prop_map(|(tenant, collection, first, reverse)| {
            Operation::Find { tenant, collection, first, reverse }
        }),
        2 => any::<(u8, u8, u8, u8, u8)>().prop_map(|(tenant, name, collection, key, scope)| {
            Operation::Hold { tenant, name, collection, key, scope }
        }),
        3 => any::<(u8, u8)>().prop_map(|(tenant, name)| Operation::Release { tenant, name }),
        3 => any::<(u8, u8, u8, u8, u8)>().prop_map(|(tenant, collection, key, length, subject)| {
            Operation::PutOf { tenant, collection, key, length: length.into(), subject }
        }),
        1 => any::<(u8, u8)>().prop_map(|(tenant, subject)| Operation::EraseSubject { tenant, subject }),
        2 => any::<(u8, u8)>().prop_map(|(tenant, policy)| Operation::SetPolicy { tenant, policy }),
        1 => any::<u8>().prop_map(|tenant| Operation::Rewrite { tenant }),
        1 => any::<u8>().prop_map(|tenant| Operation::Rekey { tenant }),
        4 => any::<(u8, u8, u8, u16, u16)>().prop_map(|(tenant, collection, key, from, length)| {
            Operation::GetRange { tenant, collection, key, from, length }
        }),
        1 => any::<u8>().prop_map(|tenant| Operation::Move { tenant }),
        1 => any::<u8>().prop_map(|tenant| Operation::Scrub { tenant }),
        1 => any::<u8>().prop_map(|tenant| Operation::RenewSections { tenant }),
        1 => any::<bool>().prop_map(|clean| Operation::Reopen { clean }),
        1 => Just(Operation::Verify),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_answers_as_the_model_does(
        operations in prop::collection::vec(operation(), 1..40),
        seed in any::<u64>(),
    ) {
        let mut world = World::create(&SimDisk::new(), seed).unwrap();
        for operation in &operations {
            world.apply(operation).unwrap();
        }
        world.check().unwrap();
    }

    /// A rekey or a rewrite runs beside the operations of its list; what fails may need another try with its seed to fail.
    #[test]
    fn what_is_done_beside_rekeys_and_rewrites_answers_as_the_model_does(
        before in prop::collection::vec(operation(), 1..12),
        beside in prop::collection::vec(
            (any::<u8>(), any::<u8>(), prop::collection::vec(operation(), 1..12)),
            1..4,
        ),
        seed in any::<u64>(),
    ) {
        let mut world = World::create(&SimDisk::new(), seed).unwrap();
        for operation in &before {
            world.apply(operation).unwrap();
        }
        for (tenant, work, operations) in beside {
            world.apply(&Operation::Beside { tenant, work, operations }).unwrap();
        }
        world.check().unwrap();
    }
}
