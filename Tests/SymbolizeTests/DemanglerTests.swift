// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import Symbolize

/// Names of C++, Rust, Swift and D; what is right was taken from c++filt, rustfilt, swift demangle and ddemangle.
@Suite struct DemanglerTests {
    @Test(arguments: [
        ("_ZN4BaseC2Ei", "Base::Base(int)"),
        ("_ZN4BaseC4Ei", "Base::Base(int)"),
        ("_ZL4samel", "same(long)"),
        ("_ZN5outer4overEPKc", "outer::over(char const*)"),
        ("_ZL4samei.constprop.0", "same(int) [clone .constprop.0]"),
        ("_ZN4BaseC2Ei@plt", "Base::Base(int)@plt"),
        ("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt"),
        ("_RNvCs1234_4core3foo", "core::foo"),
        ("_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>"),
        ("$s4main5ShapeV4areaSdvg", "main.Shape.area.getter : Swift.Double"),
        ("_D3std5stdio7writelnFZv", "std.stdio.writeln()"),
    ])
    func namesAreDemangled(_ mangled: String, _ expected: String) {
        #expect(Demangler.demangle(mangled) == expected)
    }

    @Test(arguments: [
        "main", "", "_", "_Z", "_R", "_D", "$s", "_start", "_ZN", "foo::bar()", "\u{1b}[31m", "__x64_sys_read",
    ])
    func otherNamesStayAsTheyAre(_ name: String) {
        #expect(Demangler.demangle(name) == nil)
    }

    /// What a person may type for a function, and what is another one's.
    @Test(arguments: [
        ("outer::over(int)", ["outer::over(int)", "outer::over"]),
        (
            "int outer::twice<int>(int)",
            ["int outer::twice<int>(int)", "outer::twice<int>(int)", "outer::twice<int>", "outer::twice"]
        ),
        ("(anonymous namespace)::hidden(char const*)", ["(anonymous namespace)::hidden"]),
        (
            "std::vector<int, std::allocator<int> >::push_back(int&&)",
            ["std::vector<int, std::allocator<int> >::push_back"]
        ),
        ("Base::operator()(int) const", ["Base::operator()", "Base::operator()(int)"]),
        ("operator<<(std::ostream&, Base const&)", ["operator<<"]),
        ("Base::operator bool() const", ["Base::operator bool"]),
        ("same(int) [clone .constprop.0]", ["same(int)", "same"]),
        ("main.Shape.area.getter : Swift.Double", ["main.Shape.area.getter"]),
        ("static main.Shape.unit() -> main.Shape", ["main.Shape.unit", "main.Shape.unit()"]),
        (
            "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop",
            ["<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop"]
        ),
        ("core::fmt::Write::write_fmt", ["core::fmt::Write::write_fmt"]),
        ("operators::plain(int)", ["operators::plain"]),
    ])
    func aFunctionHasTheNamesThatPeopleType(_ demangled: String, _ expected: [String]) {
        let forms = DemangledParts(demangled).forms
        for name in expected { #expect(forms.contains(name), "\(forms)") }
        #expect(!forms.contains("over") && !forms.contains("int") && !forms.contains(""))
    }

    @Test(arguments: ["vtable for Base", "non-virtual thunk to Base::f(int)", "guard variable for f()::x"])
    func partsOfAClassAreNoFunctions(_ demangled: String) { #expect(DemangledParts(demangled).forms.isEmpty) }

    /// A few bytes that mean terabytes: each substitution repeats all before it twice.
    @Test func aBombStaysMangled() {
        var name = "_Z1fI1aE"
        for index in 0..<60 { name += "1PIS\(index == 0 ? "" : String(index - 1, radix: 36).uppercased())_S_E" }
        _ = Demangler.demangle(name)
        let nested = "_Z3barP" + String(repeating: "Pv", count: 4000)
        _ = Demangler.demangle(nested)
        #expect(Demangler.demangle("_Z" + String(repeating: "1a", count: Demangler.inputLimit)) == nil)
    }

    /// Mutated and random names: none traps, none is larger than the limit.
    @Test(arguments: [
        "_ZN5outer12_GLOBAL__N_15twistIdEET_S2_", "_RINvNtC3std3mem8align_ofdE", "$s4main5ShapeV4areaSdvg",
        "_D3std5stdio__T7writelnTAyaZQnFNfQjZv",
    ])
    func mutatedNamesDoNoHarm(_ seed: String) {
        var generator = SplitMix(state: 42)
        let letters = Array("_ZRDNKSTIEPAQLdbirs0123456789$.@xyz".utf8)
        for _ in 0..<4000 {
            var bytes = Array(seed.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: 1..<bytes.count, using: &generator)
                let letter = letters.randomElement(using: &generator) ?? 0x5f
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[at] = letter
                case 1: bytes.insert(letter, at: at)
                case 2: if bytes.count > 3 { bytes.remove(at: at) }
                default: bytes += bytes[at...]
                }
            }
            let found = Demangler.demangle(String(decoding: bytes, as: UTF8.self))
            #expect((found?.utf8.count ?? 0) <= Demangler.lengthLimit + bytes.count)
        }
    }
}

/// A generator whose numbers are the same in each run.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }
}
