// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import RunDirectory
import TestSupport
import Testing

@testable import ReplaySession

@Suite struct XenDiskTests {
    @Test(arguments: [
        "/a/b.img,raw,xvda,rw", "/a/b.img, raw, xvda, rw", "format=raw,vdev=xvda,access=rw,target=/a/b.img",
        "/a/b.img,vdev=xvda", "vdev=xvda,target=/a/b.img",
    ])
    func disksAreRead(text: String) throws {
        let disk = try XenDisk(text, path: "guest.cfg")
        #expect(disk.text == "format=raw,vdev=xvda,access=rw,target=/a/b.img")
        #expect(disk.isWritable)
        #expect(disk.role == "logged disk xvda")
    }

    @Test func theTargetMayHaveCommasAndOtherParametersStay() throws {
        let disk = try XenDisk("vdev=xvdb,access=ro,devtype=cdrom,discard,target=/a,b=c", path: "guest.cfg")
        #expect(disk.text == "format=raw,devtype=cdrom,discard,vdev=xvdb,access=ro,target=/a,b=c")
        #expect(!disk.isWritable)
    }

    @Test(arguments: [
        ("b.img,raw,xvda", "no absolute path"), ("phy:/dev/a,xvda,w", "no absolute path"), ("", "no absolute path"),
        ("/a/b.img,qcow2,xvda,rw", "only raw disks"), ("/a/b.img,raw", "no vdev"), ("/a/b.img,raw,x/a", "no vdev"),
        ("vdev=xvda,target=/a\"b", "quotes"),
    ])
    func whatIsNoDiskIsNamed(text: String, problem: String) {
        let error = #expect(throws: RunError.self) { try XenDisk(text, path: "guest.cfg") }
        #expect(error?.description.contains(problem) == true, "\(String(describing: error))")
    }

    @Test func aListHasSingleAndDoubleQuotes() throws {
        let guest = try XenGuestConfiguration(
            path: "guest.cfg", text: "disk = [ '/a,raw,xvda,rw',\n \"/b'c,raw,xvdb,ro\" ]")
        #expect(try guest.disks().map(\.target) == ["/a", "/b'c"])
        #expect(try XenGuestConfiguration(path: "guest.cfg", text: "disk = [ ]").disks().isEmpty)
    }

    @Test func aWritableImageIsCopiedWithItsHoles() throws {
        let directory = try TemporaryDirectory()
        let image = try directory.write("image", String(repeating: "\0", count: 1 << 20) + "end")
        let place = try OpenDirectory(directory.path)
        // Another copy's name is a link to the image: it is removed, and not followed.
        #expect(symlink(image, directory.file("disk0.img")) == 0)
        let disks = [
            try XenDisk("\(image),raw,xvda,rw", path: "guest.cfg"),
            try XenDisk("\(image),raw,xvdb,ro", path: "guest.cfg"),
        ]
        let copies = try XenDiskCopies(disks, place: place)
        try copies.make(of: disks)
        #expect(copies.disks.map(\.target) == ["\(place.path)/disk0.img", image])
        #expect(
            try FileIdentity(of: "\(place.path)/disk0.img", what: "copy").sha256
                == FileIdentity(of: image, what: "image").sha256)
        #expect(
            copies.setting == """
                disk=["format=raw,vdev=xvda,access=rw,target=\(place.path)/disk0.img",\
                "format=raw,vdev=xvdb,access=ro,target=\(image)"]
                """)
        copies.remove()
        #expect(!place.has("disk0.img"))
        #expect(place.has("image"))
    }
}
