// SPDX-License-Identifier: GPL-2.0-or-later

import RunDirectory
import Testing

@testable import ReplaySession

@Suite struct XenGuestConfigurationTests {
    private static let whole = """
        # A guest.
        name = "guest" ; type="pvh"   # two settings in a line
        kernel = '/boot/vmlinux # not a comment'
        vcpus=1
        tsc_mode = "always_emulate"
        cpuid = "host,rdrand=0,rdseed=0"
        disk = [
            # none
        ]
        vcpus = 1
        """

    private static func read(_ text: String) throws(RunError) -> XenGuestConfiguration {
        try XenGuestConfiguration(path: "guest.cfg", text: text)
    }

    @Test func settingsAreRead() throws {
        let guest = try Self.read(Self.whole)
        #expect(guest.name == "guest")
        #expect(guest["type"] == "pvh")
        #expect(guest.kernel == "/boot/vmlinux # not a comment")
        #expect(guest.ramdisk == nil)
        #expect(guest.digests == 0)
        #expect(guest.wantsRecording == nil)
    }

    @Test func theLastValueOfAKeyIsValid() throws {
        let guest = try Self.read("ttd_flag = 1\nttd_digests=5\nttd_flag = 0\ntt_replay_flag=1")
        #expect(guest.wantsRecording == false)
        #expect(guest.wantsReplay)
        #expect(guest.digests == 5)
    }

    @Test(arguments: [
        ("name = \"a\nb\"", "line 1: a string does not end"), ("x = 1\nname", "line 2: KEY = VALUE expected"),
        ("name =", "line 1: a value is missing"), ("disk = [ 'a',\n", "a list does not end"),
        ("= 3", "line 1: KEY = VALUE expected"), ("a = 1\n\n! = 2", "line 3: KEY = VALUE expected"),
    ])
    func textThatIsNoSettingIsNamed(text: String, problem: String) {
        let error = #expect(throws: RunError.self) { try Self.read(text) }
        #expect(error?.description.contains(problem) == true, "\(String(describing: error))")
    }

    @Test(arguments: [
        ("bootloader = \"/bin/evil\"", "bootloader"), ("pci = [ '00:02.0' ]", "pci"), ("vfb = ['x']", "vfb"),
        ("device_model_version = \"x\"", "device_model_version"),
    ])
    func aStrangersConfigurationMayOnlyDescribeTheGuest(line: String, key: String) throws {
        let error = #expect(throws: RunError.self) { try Self.read("name=\"a\"\n\(line)").checkForStrangers() }
        #expect(error?.description.contains(key) == true)
        try Self.read("name=\"a\"\nmemory=96\nttd_flag=1").checkForStrangers()
    }

    @Test(arguments: ["pvh", "pv"]) func guestsWithoutAnEmulatedMachineAreRecorded(type: String) throws {
        try Self.read("\(Self.whole)\ntype = \"\(type)\"").check()
    }

    @Test(arguments: ["type = \"hvm\"", "type = \"\""]) func otherGuestsAreRefused(line: String) throws {
        let error = #expect(throws: RunError.self) { try Self.read("\(Self.whole)\n\(line)").check() }
        #expect(error?.description.contains("only PVH and PV guests are recorded") == true)
    }
}
