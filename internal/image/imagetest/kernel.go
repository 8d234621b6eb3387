package imagetest

import "encoding/binary"

// TinyKernel is a kernel by the x86 Linux boot protocol 2.06 whose whole work
// is to write its command line to the first serial port and to end the machine
// with exit status 33, from its 16-bit entry as from its 32-bit one. It boots in
// no time and needs no package.
func TinyKernel() []byte {
	code16 := []byte{
		0x66, 0xa1, 0x28, 0x02, // mov eax, [0x228]: cmd_line_ptr
		0x89, 0xc3, // mov bx, ax
		0x83, 0xe3, 0x0f, // and bx, 0xf
		0x66, 0xc1, 0xe8, 0x04, // shr eax, 4
		0x8e, 0xd8, // mov ds, ax
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0x8a, 0x07, // next: mov al, [bx]
		0x84, 0xc0, // test al, al
		0x74, 0x04, // jz done
		0xee,       // out dx, al
		0x43,       // inc bx
		0xeb, 0xf6, // jmp next
		0xb0, 0x0a, // done: mov al, '\n'
		0xee,             // out dx, al
		0xba, 0xf4, 0x00, // mov dx, 0xf4: isa-debug-exit
		0xb0, 0x10, // mov al, 0x10
		0xee,       // out dx, al
		0xf4,       // hlt
		0xeb, 0xfd, // jmp to hlt
	}
	code := []byte{
		0x8b, 0x9e, 0x28, 0x02, 0x00, 0x00, // mov ebx, [esi+0x228]: cmd_line_ptr
		0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0x8a, 0x03, // next: mov al, [ebx]
		0x84, 0xc0, // test al, al
		0x74, 0x04, // jz done
		0xee,       // out dx, al
		0x43,       // inc ebx
		0xeb, 0xf6, // jmp next
		0xb0, 0x0a, // done: mov al, '\n'
		0xee,                   // out dx, al
		0x66, 0xba, 0xf4, 0x00, // mov dx, 0xf4: isa-debug-exit
		0xb0, 0x10, // mov al, 0x10
		0xee,       // out dx, al
		0xf4,       // hlt
		0xeb, 0xfd, // jmp to hlt
	}
	k := make([]byte, 1024+4096)
	k[0x1f1] = 1 // sectors of set-up code
	put := binary.LittleEndian
	put.PutUint16(k[0x1fe:], 0xaa55)
	copy(k[0x200:], []byte{0xeb, 0x66})
	copy(k[0x202:], "HdrS")
	put.PutUint16(k[0x206:], 0x0206)
	k[0x211] = 1 // loaded high
	put.PutUint32(k[0x214:], 0x100000)
	put.PutUint32(k[0x22c:], 0x37ffffff) // highest address of an initrd
	put.PutUint32(k[0x230:], 0x100000)   // alignment
	k[0x234] = 1                         // relocatable
	put.PutUint32(k[0x238:], 2047)       // length of the command line
	copy(k[0x268:], code16)              // where 0x200 jumps to
	copy(k[1024:], code)
	return k
}
