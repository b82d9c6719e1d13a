// iasl version 20200925 (64-bit version)

[000h 0000   4]                    Signature : "XSDT"    [Extended System Description Table]
[004h 0004   4]                 Table Length : 00000044
[008h 0008   1]                     Revision : 01
[009h 0009   1]                     Checksum : C3
[00Ah 0010   6]                       Oem ID : "BERTH "
[010h 0016   8]                 Oem Table ID : "Q35     "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "BRTH"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   8]       ACPI Table Address   0 : 00000000000E18A0
[02Ch 0044   8]       ACPI Table Address   1 : 00000000000E19B8
[034h 0052   8]       ACPI Table Address   2 : 00000000000E1A30
[03Ch 0060   8]       ACPI Table Address   3 : 00000000000E1A70

Raw Table Data: Length 68 (0x44)

    0000: 58 53 44 54 44 00 00 00 01 C3 42 45 52 54 48 20  // XSDTD.....BERTH 
    0010: 51 33 35 20 20 20 20 20 01 00 00 00 42 52 54 48  // Q35     ....BRTH
    0020: 01 00 00 00 A0 18 0E 00 00 00 00 00 B8 19 0E 00  // ................
    0030: 00 00 00 00 30 1A 0E 00 00 00 00 00 70 1A 0E 00  // ....0.......p...
    0040: 00 00 00 00                                      // ....
