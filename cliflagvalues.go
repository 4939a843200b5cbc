package main

import (
	"fmt"
	"strconv"
	"strings"

	"gogpt/internal/kernel"
)

// The values of flags that are neither numbers nor texts.

// kernelFlag is the value of --kernel. Parsing the flag selects the kernel.
type kernelFlag struct{}

func (kernelFlag) String() string { return kernel.Name() }

func (kernelFlag) Set(name string) error {
	if kernel.Select(name) != nil {
		return fmt.Errorf("takes one of %s", strings.Join(kernel.Names(), ", "))
	}
	return nil
}

// intList is the value of a flag that takes whole numbers separated by commas.
type intList []int

func (l *intList) String() string {
	var words []string
	for _, n := range *l {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ",")
}

func (l *intList) Set(text string) error {
	var list []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return fmt.Errorf("takes whole numbers of at least 1, e.g. 4 or 1,2,4")
		}
		list = append(list, n)
	}
	*l = list
	return nil
}

// optionalBool is a flag that is true, false, or not given: nil.
type optionalBool struct{ value **bool }

// IsBoolFlag lets package flag accept the flag without a value, which means true.
func (optionalBool) IsBoolFlag() bool { return true }

func (b optionalBool) String() string {
	if b.value == nil || *b.value == nil {
		return ""
	}
	return strconv.FormatBool(**b.value)
}

func (b optionalBool) Set(text string) error {
	v, err := strconv.ParseBool(text)
	*b.value = &v
	return err
}
