//! The kinds of product, each with everything its products have in common.

/// What a kind of product looks like; one drawing each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shape {
    Mug,
    EspressoCup,
    Teapot,
    Jug,
    Cafetiere,
    StorageJar,
    TeaTowel,
    Apron,
    Board,
    Tray,
    Saucepan,
    Plate,
    Bowl,
    Tumbler,
    Carafe,
    Napkins,
    Cutlery,
    Cushion,
    Throw,
    Vase,
    Frame,
    Clock,
    Candle,
    DinnerCandles,
    Candlestick,
    Lantern,
    Lamp,
    Towel,
    Soap,
    HandWash,
    Basket,
    PegRail,
    Box,
    Tin,
    PlantPot,
    WateringCan,
    Trowel,
    Gloves,
    BirdHouse,
    Seeds,
    Flask,
    Bottle,
    LunchBox,
    Torch,
    PicnicRug,
    Umbrella,
    Notebook,
    Pencils,
    DeskTidy,
    Card,
    Wrap,
    Bunting,
    Bear,
    Rabbit,
    Train,
    Puzzle,
    Kite,
    Blocks,
    DogBowl,
    DogLead,
}

pub(super) struct Kind {
    pub(super) shape: Shape,
    pub(super) noun: &'static str,
    pub(super) department: &'static str,
    pub(super) section: &'static str,
    pub(super) brands: &'static [&'static str],
    pub(super) price: (i64, i64),
    pub(super) material: &'static str,
    pub(super) text: &'static str,
    pub(super) designs: &'static [&'static str],
}

const POTTERY: &[&str] = &["Thornby Pottery", "Larkfield"];
const KITCHEN: &[&str] = &["Hollin & Wray", "Larkfield"];
const CLOTH: &[&str] = &["Tamsin Vale", "Larkfield"];
const LIGHT: &[&str] = &["Wickham Lights", "Oddny Studio"];
const HOME: &[&str] = &["Oddny Studio", "Larkfield"];
const BATH: &[&str] = &["Tamsin Vale", "Marram Bay"];
const STORE: &[&str] = &["Pell & Rook", "Larkfield"];
const GARDEN: &[&str] = &["Greenhithe", "Pell & Rook"];
const TRAIL: &[&str] = &["Northmoor", "Fell & Ferry"];
const PAPER: &[&str] = &["Inkwell Lane", "Larkfield"];
const TOYS: &[&str] = &["Little Heron", "Merrywood"];
const PETS: &[&str] = &["Barnaby Tail", "Northmoor"];

macro_rules! kinds {
    ($($shape:ident $noun:literal in $department:literal / $section:literal by $brands:ident, $low:literal to $high:literal, $material:literal, $text:literal: $($design:literal),+;)+) => {
        pub(super) const KINDS: &[Kind] = &[$(Kind {
            shape: Shape::$shape, noun: $noun, department: $department, section: $section, brands: $brands,
            price: ($low, $high), material: $material, text: $text, designs: &[$($design),+],
        }),+];
    };
}

kinds! {
    Mug "Stoneware Mug" in "Kitchen" / "Mugs & Cups" by POTTERY, 1000 to 1500, "stoneware", "A generous mug with a comfortable handle, glazed by hand in {colour}. Dishwasher safe.":
        "Saltmarsh", "Harbour", "Ember", "Oatfield", "Midnight", "Dog Rose", "Tidepool", "Buttercup";
    EspressoCup "Espresso Cup & Saucer" in "Kitchen" / "Mugs & Cups" by POTTERY, 900 to 1400, "porcelain", "A small cup for strong coffee, with a saucer that keeps the spoon. Glazed in {colour}.":
        "Ember", "Midnight", "Chalk", "Coal", "Tidepool", "Redcurrant";
    Teapot "Stoneware Teapot" in "Kitchen" / "Teapots & Jugs" by POTTERY, 3200 to 4800, "stoneware", "Holds a litre, pours without a drip, and keeps tea warm for a second cup. In {colour}.":
        "Saltmarsh", "Harbour", "Ember", "Oatfield", "Midnight", "Dog Rose";
    Jug "Stoneware Jug" in "Kitchen" / "Teapots & Jugs" by POTTERY, 1600 to 2600, "stoneware", "For milk at breakfast, custard on Sunday and tulips in between. Glazed in {colour}.":
        "Saltmarsh", "Harbour", "Oatfield", "Chalk", "Buttercup", "Skylark";
    Cafetiere "Cafetière" in "Kitchen" / "Teapots & Jugs" by KITCHEN, 2800 to 3900, "glass and steel", "Eight cups of coffee in heatproof glass, with a {colour} frame and a fine steel filter.":
        "Coal", "Ember", "Tidepool", "Midnight", "Oatfield";
    StorageJar "Storage Jar" in "Kitchen" / "Storage" by KITCHEN, 1400 to 2400, "stoneware and cork", "An airtight jar for tea, sugar or flour, with a cork lid. Glazed in {colour}.":
        "Saltmarsh", "Harbour", "Oatfield", "Chalk", "Fernhill", "Ember", "Skylark";
    TeaTowel "Linen Tea Towel" in "Kitchen" / "Kitchen Textiles" by CLOTH, 800 to 1300, "linen", "Pure linen that dries glasses without a streak and grows softer with every wash. In {colour}.":
        "Saltmarsh", "Harbour", "Ember", "Oatfield", "Dog Rose", "Redcurrant", "Buttercup", "Skylark";
    Apron "Cotton Apron" in "Kitchen" / "Kitchen Textiles" by CLOTH, 2200 to 3200, "cotton", "A full-length apron in heavy {colour} cotton, with a deep pocket and long ties.":
        "Harbour", "Saltmarsh", "Redcurrant", "Coal", "Buttercup", "Midnight";
    Board "Chopping Board" in "Kitchen" / "Boards & Pans" by KITCHEN, 2400 to 4200, "wood", "Solid {colour}, oiled by hand, with a hole for hanging. It blunts no knife.":
        "Classic Oak Chopping Board=oak", "Walnut Serving Board=walnut", "Farmhouse Oak Bread Board=oak", "Walnut Cheese Board=walnut", "Limed Oak Chopping Board=oat";
    Tray "Birch Tray" in "Kitchen" / "Boards & Pans" by HOME, 2200 to 3400, "birch", "Pressed birch with a printed {colour} surface that wipes clean. Breakfast for two fits.":
        "Saltmarsh", "Fernhill", "Tidepool", "Dog Rose", "Midnight", "Buttercup";
    Saucepan "Enamel Saucepan" in "Kitchen" / "Boards & Pans" by KITCHEN, 3400 to 5200, "enamelled steel", "Enamelled steel in {colour}, light in the hand and at home on every hob.":
        "Harbour", "Ember", "Fernhill", "Chalk", "Coal", "Redcurrant";
    Plate "Dinner Plate" in "Dining" / "Plates & Bowls" by POTTERY, 1200 to 1900, "stoneware", "A 27 cm plate with a low rim, glazed in {colour}. Mixes happily with its neighbours.":
        "Saltmarsh", "Harbour", "Ember", "Oatfield", "Midnight", "Tidepool", "Chalk";
    Bowl "Pasta Bowl" in "Dining" / "Plates & Bowls" by POTTERY, 1200 to 1800, "stoneware", "Wide and shallow for pasta, deep enough for soup. Glazed in {colour}.":
        "Saltmarsh", "Harbour", "Ember", "Oatfield", "Midnight", "Tidepool", "Heather";
    Tumbler "Glass Tumblers, Set of 4" in "Dining" / "Glasses" by HOME, 1800 to 2800, "recycled glass", "Four tumblers of recycled glass with a {colour} tint; no two are quite alike.":
        "Saltmarsh", "Tidepool", "Skylark", "Heather", "Ember", "Chalk";
    Carafe "Glass Carafe" in "Dining" / "Glasses" by HOME, 2000 to 3200, "recycled glass", "A slender carafe in {colour} glass for water, wine or a single branch of blossom.":
        "Saltmarsh", "Tidepool", "Skylark", "Ember", "Heather";
    Napkins "Linen Napkins, Set of 4" in "Dining" / "Table Linen" by CLOTH, 2200 to 3200, "linen", "Four washed linen napkins in {colour} with a mitred hem.":
        "Saltmarsh", "Harbour", "Oatfield", "Midnight", "Bramble", "Ember";
    Cutlery "16-Piece Cutlery Set" in "Dining" / "Cutlery" by KITCHEN, 5200 to 8900, "steel", "Knives, forks and spoons for four with {colour} handles, in a box worth keeping.":
        "Oatfield", "Coal", "Harbour", "Chalk", "Bramble";
    Cushion "Linen Cushion" in "Living" / "Cushions & Throws" by CLOTH, 2400 to 3900, "linen", "A 45 cm cushion in soft {colour} linen, with a plump feather-free filling.":
        "Saltmarsh", "Harbour", "Heather", "Bramble", "Buttercup", "Dog Rose", "Midnight", "Oatfield";
    Throw "Lambswool Throw" in "Living" / "Cushions & Throws" by CLOTH, 5900 to 8900, "lambswool", "Woven lambswool in {colour} with a twisted fringe. For the sofa, and for whoever gets there first.":
        "Saltmarsh", "Heather", "Bramble", "Oatfield", "Ember", "Midnight", "Skylark";
    Vase "Ceramic Vase" in "Living" / "Vases & Frames" by POTTERY, 2200 to 4200, "ceramic", "Thrown by hand and glazed in {colour}; it stands well empty and better full.":
        "Saltmarsh", "Ember", "Chalk", "Heather", "Tidepool", "Bramble", "Buttercup";
    Frame "Picture Frame" in "Living" / "Vases & Frames" by HOME, 1500 to 2900, "wood and glass", "A {colour} frame for 13 × 18 cm pictures, to hang or to stand.":
        "Classic Oak Picture Frame=oak", "Walnut Picture Frame=walnut", "Chalk White Picture Frame=chalk", "Charcoal Picture Frame=charcoal", "Sage Picture Frame=sage", "Teal Picture Frame=teal";
    Clock "Wall Clock" in "Living" / "Clocks" by HOME, 3200 to 5400, "metal", "A quiet sweep movement, clear numerals and a {colour} rim, 30 cm across.":
        "Harbour", "Saltmarsh", "Coal", "Ember", "Chalk", "Buttercup";
    Candle "Scented Candle" in "Lighting" / "Candles" by LIGHT, 1400 to 2400, "soy wax", "Soy wax in a glass worth keeping; burns for about forty hours.":
        "Fig & Cedar Candle=plum", "Sea Salt & Sage Candle=sage", "Wild Heather Candle=heather", "Orange & Clove Candle=terracotta", "Tomato Leaf Candle=fern", "Rose & Pepper Candle=rose", "Honey & Oat Candle=mustard";
    DinnerCandles "Dinner Candles, Set of 4" in "Lighting" / "Candles" by LIGHT, 800 to 1300, "wax", "Four slow-burning candles, dyed right through in {colour}.":
        "Saltmarsh", "Ember", "Midnight", "Bramble", "Dog Rose", "Buttercup", "Chalk";
    Candlestick "Candlestick" in "Lighting" / "Candles" by LIGHT, 1400 to 2600, "metal", "A turned candlestick in {colour} enamel; buy one, and then, of course, a second.":
        "Saltmarsh", "Ember", "Midnight", "Coal", "Buttercup", "Chalk";
    Lantern "Metal Lantern" in "Lighting" / "Lanterns" by LIGHT, 2400 to 4400, "metal and glass", "A {colour} lantern for the table or the path; takes a pillar candle.":
        "Coal", "Harbour", "Saltmarsh", "Ember", "Chalk", "Fernhill";
    Lamp "Table Lamp" in "Lighting" / "Lamps" by LIGHT, 4900 to 8900, "ceramic and linen", "A round ceramic foot in {colour} under a linen shade, with a fabric-covered flex.":
        "Saltmarsh", "Tidepool", "Ember", "Midnight", "Heather", "Oatfield";
    Towel "Cotton Bath Towel" in "Bath" / "Towels" by BATH, 2200 to 3400, "cotton", "Thick, thirsty cotton in {colour}, 70 × 140 cm.":
        "Saltmarsh", "Tidepool", "Skylark", "Heather", "Dog Rose", "Chalk", "Coal";
    Soap "Soap Bar" in "Bath" / "Soap & Hand Wash" by BATH, 500 to 850, "olive oil", "A hard, long-lasting bar made with olive oil and wrapped in paper.":
        "Sea Lavender Soap Bar=heather", "Rosemary & Mint Soap Bar=sage", "Oat & Honey Soap Bar=oat", "Rose Clay Soap Bar=rose", "Seaweed Soap Bar=teal", "Orange Peel Soap Bar=terracotta";
    HandWash "Hand Wash" in "Bath" / "Soap & Hand Wash" by BATH, 1100 to 1600, "glass bottle", "A gentle hand wash in a glass bottle with a pump; refill it and start again.":
        "Sea Lavender Hand Wash=heather", "Rosemary & Mint Hand Wash=fern", "Fig Leaf Hand Wash=plum", "Seaweed Hand Wash=teal", "Orange Peel Hand Wash=terracotta";
    Basket "Woven Basket" in "Storage" / "Baskets & Boxes" by STORE, 2400 to 4400, "seagrass", "Seagrass woven by hand with a {colour} band and two strong handles.":
        "Saltmarsh", "Oatfield", "Ember", "Midnight", "Dog Rose", "Tidepool";
    PegRail "Peg Rail" in "Storage" / "Hooks & Rails" by STORE, 2200 to 3400, "wood", "Five turned pegs on a rail finished in {colour}. Screws included.":
        "Classic Oak Peg Rail=oak", "Walnut Peg Rail=walnut", "Sage Peg Rail=sage", "Navy Peg Rail=navy", "Chalk White Peg Rail=chalk";
    Box "Lidded Storage Box" in "Storage" / "Baskets & Boxes" by STORE, 1400 to 2400, "card and cotton", "A sturdy box covered in {colour} cotton, with a label holder on the front.":
        "Saltmarsh", "Harbour", "Heather", "Oatfield", "Redcurrant", "Skylark";
    Tin "Cake Tin" in "Storage" / "Tins" by KITCHEN, 1400 to 2200, "tinplate", "A round tin that keeps a cake fresh for a week, should it last that long. In {colour}.":
        "Dog Rose", "Redcurrant", "Harbour", "Buttercup", "Fernhill", "Skylark";
    PlantPot "Plant Pot" in "Garden" / "Pots & Planters" by GARDEN, 900 to 2400, "fired clay", "A frost-proof pot with a saucer, finished in {colour}.":
        "Saltmarsh", "Ember", "Chalk", "Tidepool", "Coal", "Buttercup", "Dog Rose";
    WateringCan "Watering Can" in "Garden" / "Watering" by GARDEN, 2400 to 3900, "steel", "Five litres, well balanced, with a brass rose. Powder-coated in {colour}.":
        "Saltmarsh", "Fernhill", "Buttercup", "Ember", "Harbour", "Chalk";
    Trowel "Hand Trowel" in "Garden" / "Tools & Gloves" by GARDEN, 1200 to 1900, "steel and ash", "Forged steel on an ash handle with a {colour} grip and a leather loop.":
        "Saltmarsh", "Fernhill", "Ember", "Harbour", "Buttercup";
    Gloves "Gardening Gloves" in "Garden" / "Tools & Gloves" by GARDEN, 1200 to 1800, "cotton and leather", "Soft where you feel, tough where it thorns; {colour} cotton with leather fingertips.":
        "Saltmarsh", "Fernhill", "Dog Rose", "Buttercup", "Heather";
    BirdHouse "Nest Box" in "Garden" / "Wildlife" by GARDEN, 1800 to 2900, "cedar", "A snug cedar box with a {colour} roof and a 32 mm entrance for tits and sparrows.":
        "Saltmarsh", "Harbour", "Ember", "Redcurrant", "Skylark";
    Seeds "Seeds" in "Garden" / "Seeds" by GARDEN, 225 to 395, "seed", "One packet of untreated seed, with sowing dates and advice on the back.":
        "Sweet Pea Seeds=heather", "Nasturtium Seeds=terracotta", "Cosmos Seeds=rose", "Sunflower Seeds=mustard", "Cornflower Seeds=blue", "Poppy Seeds=red", "Basil Seeds=fern";
    Flask "Vacuum Flask" in "Outdoor" / "Flasks & Bottles" by TRAIL, 2200 to 3400, "steel", "Keeps soup hot for twelve hours. Powder-coated steel in {colour}, with a cup for a lid.":
        "Harbour", "Fernhill", "Ember", "Coal", "Tidepool", "Redcurrant";
    Bottle "Water Bottle" in "Outdoor" / "Flasks & Bottles" by TRAIL, 1400 to 2400, "steel", "Half a litre, leak-proof and light, in {colour} steel with a bamboo cap.":
        "Skylark", "Fernhill", "Dog Rose", "Coal", "Tidepool", "Buttercup";
    LunchBox "Lunch Box" in "Outdoor" / "Lunch & Picnic" by TRAIL, 1600 to 2600, "steel and bamboo", "Two compartments, a bamboo lid and a {colour} strap that holds everything shut.":
        "Skylark", "Fernhill", "Ember", "Tidepool", "Redcurrant", "Buttercup";
    Torch "Pocket Torch" in "Outdoor" / "Torches & Umbrellas" by TRAIL, 1600 to 2900, "aluminium", "A bright, rechargeable torch in {colour} aluminium that survives being dropped.":
        "Coal", "Fernhill", "Ember", "Harbour", "Buttercup";
    PicnicRug "Picnic Rug" in "Outdoor" / "Lunch & Picnic" by TRAIL, 3900 to 5900, "wool blend", "Checked {colour} wool on a waterproof back, with a leather carrying strap.":
        "Harbour", "Fernhill", "Ember", "Heather", "Redcurrant";
    Umbrella "Umbrella" in "Outdoor" / "Torches & Umbrellas" by TRAIL, 2600 to 4200, "wood and polyester", "A wind-tested {colour} canopy on a crook handle of ash.":
        "Harbour", "Midnight", "Bramble", "Buttercup", "Fernhill", "Dog Rose";
    Notebook "Clothbound Notebook" in "Stationery" / "Notebooks" by PAPER, 1100 to 1800, "paper and cloth", "160 ruled pages that lie flat, bound in {colour} cloth with a ribbon.":
        "Saltmarsh", "Harbour", "Midnight", "Bramble", "Ember", "Dog Rose", "Buttercup", "Tidepool";
    Pencils "Pencil Set" in "Stationery" / "Pens & Pencils" by PAPER, 800 to 1400, "cedar", "Six cedar pencils in shades of {colour}, in a sliding box.":
        "Harbour", "Fernhill", "Heather", "Ember", "Buttercup", "Skylark";
    DeskTidy "Desk Tidy" in "Stationery" / "Desk" by PAPER, 1400 to 2200, "ceramic", "A {colour} pot for pens, scissors and the ruler that is never there.":
        "Saltmarsh", "Midnight", "Ember", "Dog Rose", "Tidepool", "Coal";
    Card "Greeting Card" in "Cards & Party" / "Cards" by PAPER, 275 to 395, "paper", "Printed on heavy recycled card and left blank inside. With an envelope.":
        "Happy Birthday Card=mustard", "Thank You Card=sage", "New Home Card=terracotta", "With Love Card=rose", "Congratulations Card=blue", "Get Well Soon Card=fern", "Hello Little One Card=sky";
    Wrap "Wrapping Paper" in "Cards & Party" / "Gift Wrap" by PAPER, 450 to 795, "paper", "Three metres of heavy {colour} paper that folds crisply and recycles.":
        "Saltmarsh", "Midnight", "Redcurrant", "Buttercup", "Dog Rose", "Skylark";
    Bunting "Cotton Bunting" in "Cards & Party" / "Party" by PAPER, 1400 to 2200, "cotton", "Five metres of {colour} pennants, sewn rather than glued, for every birthday from now on.":
        "Harbour", "Dog Rose", "Buttercup", "Redcurrant", "Skylark", "Saltmarsh";
    Bear "Soft Bear" in "Toys" / "Soft Toys" by TOYS, 1600 to 2600, "cotton", "A bear with a patient face and stitched eyes, safe from the first day. In {colour}.":
        "Oskar the Oat Bear=oat", "Bruno the Brown Bear=walnut", "Nell the Honey Bear=mustard", "Rosie the Rose Bear=rose", "Pip the Grey Bear=charcoal", "Sky the Blue Bear=sky";
    Rabbit "Soft Rabbit" in "Toys" / "Soft Toys" by TOYS, 1600 to 2600, "cotton", "A long-eared rabbit in soft {colour} cotton, safe from the first day.":
        "Clover the Sage Rabbit=sage", "Hazel the Oak Rabbit=oak", "Blossom the Rose Rabbit=rose", "Misty the Chalk Rabbit=chalk", "Violet the Heather Rabbit=heather";
    Train "Wooden Train" in "Toys" / "Wooden Toys" by TOYS, 1800 to 2900, "beech", "A beech engine with turning wheels, painted in {colour} with water-based colours.":
        "Harbour", "Redcurrant", "Fernhill", "Buttercup", "Skylark";
    Puzzle "Jigsaw Puzzle" in "Toys" / "Games & Puzzles" by TOYS, 1200 to 1900, "card", "Five hundred thick pieces and one quiet weekend. A picture in shades of {colour}.":
        "Harbour", "Heather", "Fernhill", "Midnight", "Ember", "Tidepool";
    Kite "Kite" in "Toys" / "Outdoor Play" by TOYS, 1600 to 2600, "ripstop and bamboo", "Flies in a breath of wind: {colour} ripstop on a bamboo frame, with thirty metres of line.":
        "Skylark", "Redcurrant", "Buttercup", "Tidepool", "Fernhill";
    Blocks "Wooden Blocks" in "Toys" / "Wooden Toys" by TOYS, 1900 to 3200, "beech", "Thirty beech blocks in {colour} and natural wood, in a cotton bag.":
        "Harbour", "Redcurrant", "Saltmarsh", "Dog Rose", "Buttercup";
    DogBowl "Dog Bowl" in "Pets" / "Bowls" by PETS, 1400 to 2400, "stoneware", "A heavy {colour} bowl that stays where it was put.":
        "Saltmarsh", "Harbour", "Ember", "Coal", "Dog Rose", "Tidepool";
    DogLead "Rope Lead" in "Pets" / "Walks" by PETS, 1800 to 2800, "cotton rope", "A soft {colour} rope with leather ends and a solid brass clip.":
        "Harbour", "Fernhill", "Ember", "Heather", "Redcurrant", "Coal";
}
