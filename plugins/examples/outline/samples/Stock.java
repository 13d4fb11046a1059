// What a shop has in stock: void notCode() {} stands in a comment.
package shop;

import java.util.List;
import java.util.function.Predicate;

@FunctionalInterface
interface Shelf<T> {
    int WIDTH = 40;

    boolean put(T item);

    default boolean isEmpty() {
        return true;
    }
}

public class Stock<T extends Stock.Item> implements Shelf<T> {
    private static final int DEPTH = 2, HEIGHT = 3;
    private final List<T> items;

    public Stock(List<T> items) {
        this.items = items;
    }

    @Override
    @SuppressWarnings("unused")
    public boolean put(T item) {
        Predicate<T> fits = one -> one.name().length() < WIDTH;
        String text = "void neither() {}";
        var adder = new Object() {
            void add(T one) {
                items.add(one);
            }
        };
        adder.add(item);
        return fits.test(item);
    }

    public record Item(String name, int count) {
        public Item {
            if (count < 0) throw new IllegalArgumentException("""
                class NorThis {}
                """);
        }
    }

    enum Change {
        ADDED, REMOVED { @Override int sign() { return -1; } };

        int sign() {
            return 1;
        }
    }

    @interface Counted {
        int value() default 0;
    }
}
